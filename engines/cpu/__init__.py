"""The CPU backend: decoding with FFmpeg, model inputs, composition and encoding.

Imports `containers`, `edits`, `video` and `models`. Begin at `decode.py`, then `compose.py` and `encode.py`.
"""
