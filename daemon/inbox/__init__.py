"""Finding files in the inboxes and waiting until they are complete.

Imports `config`, `share` and `worker`. Begin at `scanner.py`, then `stability.py`.
"""
