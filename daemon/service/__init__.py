"""The service: one loop that scans, moves jobs from state to state, starts workers and publishes the status.

Imports every package but `cli`. Begin at `main.py` and `loop.py`; `dispatcher.py` decides which job starts when and
where, `lifecycle.py` moves jobs, and `daemon/jobs/fault_policy.py` decides what follows from trouble.
"""
