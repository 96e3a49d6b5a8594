"""Encoding of frames in a GPU's memory: NVENC and its sessions, or x264 behind a download.

Imports from ``engines.cuda``, of which only ``backend`` imports from here. Begin at ``nvenc``.
"""
