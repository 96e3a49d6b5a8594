"""What MP4 keeps beside video and audio: tags, chapters, timecode and text subtitles.

Imports `containers` and `edits`. Begin at `tags.py`.
"""
