"""`dualface doctor` and `dualface probe`: checks of everything that the service needs, and of the hardware.

Imports the packages up to `observability`. Begin at `framework.py`. `checks/` holds the checks, `measurements/` what
they measure on the share.
"""
