"""Counters and timers of one job.

Imports the standard library and settings only. Begin at `counters.py`.
"""
