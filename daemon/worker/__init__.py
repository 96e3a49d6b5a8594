"""Worker processes: their start, their sandbox, and the protocol between worker and service.

Imports `pages`, `config` and `share`. Begin at `pool.py` for the service's side and at `main.py` for the worker's.
"""
