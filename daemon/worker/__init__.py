"""Worker processes: how they start, what confines them, and what they and the service tell each other.

Imports `config` and `share`. Begin at `pool.py` for the service's side and at `main.py` for the worker's.
"""
