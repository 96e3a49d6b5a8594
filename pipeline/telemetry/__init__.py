"""Counters and timers of one job, for metrics and for the report.

Imports no other package of the pipeline. Begin at `counters.py`.
"""
