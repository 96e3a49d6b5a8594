"""Finding files in the inboxes, waiting until they are complete, and choosing the next one.

Imports the packages up to `worker`. Begin at `inbox.py`, which combines `scanner.py` (which files are there),
`stability.py` (which ones have stopped changing) and the reasons to wait; `intake.py` chooses the next file.
"""
