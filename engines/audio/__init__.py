"""Audio: what a recording holds, the rules for channels and codecs, and the tracks of the result.

Imports `engines.media` and `engines.edits`. Begin at `pump.py`; `policy.py` and `layout.py` hold the rules.
"""
