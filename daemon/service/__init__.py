"""The service: one loop that scans, dispatches jobs, publishes the status and reacts to signals.

Imports every package but `cli`. Begin at `main.py`.
"""
