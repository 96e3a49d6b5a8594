"""Facts about a video stream, the same for every decoder: choice, seeking, timeline, geometry, colours.

Imports `containers` and `edits`. Begin at `seeking.py`.
"""
