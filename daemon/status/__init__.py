"""The status of each service, its files on the share, and the judgement of which services are alive.

Imports the packages up to `jobs`. Begin at `model.py`; `store.py` merges the services of a share, `page.py` writes the
status page, `liveness.py` judges from outside.
"""
