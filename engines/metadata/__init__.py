"""Tags, chapters, timecode and text subtitles, copied into the output.

Imports `containers` and `edits`. Begin at `tags.py`.
"""
