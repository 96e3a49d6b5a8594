"""Segments, checkpoints and the finished files made of them.

Imports the engines and `pipeline` top-level modules. Begin at `segment.py`, then `checkpoint.py`.
"""
