"""The audio of the output: decoding, the rules for channels and codecs, loudness, and the output's tracks.

Imports `containers`, `edits` and `metadata`. Begin at `prescan.py`, which plans, and `output.py`, which writes.
"""
