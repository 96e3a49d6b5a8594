"""A video stream before it is decoded, for every decoder: choice, seeking, timeline, geometry, colour tags.

Imports `containers` and `edits`. Begin at `seeking.py` and `timeline.py`.
"""
