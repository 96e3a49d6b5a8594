"""Devices, codecs, containers, model runtimes and frame memory. Knows nothing of people, tiles or folders.

Packages import only from those named before them: containers, edits, video and metadata, audio, media; models; cpu,
inference, cuda. Begin at `protocols.py` and `registry.py`, which the pipeline uses.
"""

Imports nothing from ``pipeline`` or ``daemon``. Begin at ``protocols`` and ``registry``, the interface to ``pipeline``.
"""
