"""The two virtual cameras: framing, paths and their solver.

Imports `pipeline.people` and settings. Begin at `planner.py`.
"""
