"""What MP4 keeps beside video and audio: tags, chapters, timecode and text subtitles.

Begin at `tags.py`.
"""
