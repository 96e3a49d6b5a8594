"""Decoding on a GPU: NVDEC, driven by PyNvVideoCodec or FFmpeg, and its surfaces as upright NV12 frames.

Imports from ``engines.cuda``, of which only ``backend`` imports from here. Begin at ``decoder``.
"""
