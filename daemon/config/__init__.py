"""The configuration: models, layers, profiles, and changes of its files.

Imports the modules at the top of `daemon` only. Begin at `settings.py`, then `loader.py`.
"""
