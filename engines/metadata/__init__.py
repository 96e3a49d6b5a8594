"""What MP4 keeps beside frames and audio: tags, chapters, timecode and text subtitles.

Begin at `tags.py`.
"""
