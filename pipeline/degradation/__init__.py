"""Degradation: less work if memory or time is short or decoding fails, and waiting for disk space.

Imports segments. Begin at `level_ladder.py`, then `controller.py`.
"""
