"""Panels of meeting recordings and remote studios, and letterboxes: parts of the frame with borders that never move.

Imports `engines.frames` and `pipeline.people`. Begin at `panel_detector.py`; `borders.py` measures one frame,
`layout.py` divides the frame, `insets.py` finds small pictures inside large ones.
"""
