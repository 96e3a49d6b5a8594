"""Drawn recordings of faces with known truth: look-alikes, turned heads, skin tones, darkness, cuts.

All faces are made from two portraits in the public domain, which Python packages carry. Begin at ``scenes.py``.
"""
