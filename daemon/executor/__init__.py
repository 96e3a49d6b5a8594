"""Where worker processes run: on this machine, or on the nodes of a cluster.

The rest of the service sees the protocol in `protocol.py` only. `supervised.py` holds what all executors have in
common: messages, limits of time, outcomes. `local.py` starts processes on this machine. Imports `worker` and what
lies below it. Begin at `protocol.py`.
"""
