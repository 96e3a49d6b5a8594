"""Edit lists of MP4 and MOV: read once, applied to video, audio and text.

Begin at `lists.py`.
"""
