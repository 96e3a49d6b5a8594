"""Edit lists of MP4 and MOV, applied to the video, audio and text of a file.

Imports `containers`, where `edit_lists.py` reads the lists. Begin at `video.py`.
"""
