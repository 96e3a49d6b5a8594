"""`dualface doctor` and `dualface probe`: checks, measurements and versions, each with a remedy.

Imports the packages up to `observability`. Begin at `framework.py`; `checks/` holds the checks.
"""
