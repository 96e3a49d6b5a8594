"""What makes a host a node of a cluster: the checks before it joins, its description, and Ray's processes on it.

The service's side of a cluster is in `executor`, which this package may import. Begin at `node.py`.
"""
