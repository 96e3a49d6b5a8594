"""The configuration: models, layers, profiles, and editing the files that people keep.

Imports nothing of the packages after it (share, worker, ... cli). Begin at `settings.py`, then `loader.py`.
"""
