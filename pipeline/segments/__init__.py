"""Segments, checkpoints, and the video and tracks that are made of them.

Imports no other package of the pipeline. Begin at `segment.py`, then `checkpoint.py`.
"""
