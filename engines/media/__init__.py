"""Containers: probing, demux index, seeking, audio, muxing and verification. No frame is drawn here.

Imports the top level of `engines` only. Begin at `container.py`, then `probe.py`.
"""
