"""The share: its folders, mounts, leases, names, control files and safe renames.

Imports `config`. Begin at `share.py`; `daemon/layout.py` has the names of all folders and files.
"""
