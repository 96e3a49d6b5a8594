"""The stages from decoded frames to encoded segments.

Imports detection, identity, camera, segments and degradation. Begin at `build.py`, then `renderer.py`.
"""
