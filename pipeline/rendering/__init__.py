"""The stages from decoded frames to encoded segments, and the thumbnails that they collect.

Imports detection, identity, camera, segments, degradation and telemetry. Begin at `build.py`, which connects the
stages, then `renderer.py`, which runs them.
"""
