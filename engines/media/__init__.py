"""Whole files: probing, joining parts, writing the finished MP4, verifying it, and snapshots of it.

Imports `containers`, `edits`, `video`, `metadata` and `audio`; the CPU and CUDA backends import none of it.
Begin at `probe.py`, then `mux.py`.
"""
