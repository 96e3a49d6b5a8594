"""Devices, codecs, containers, model runtimes and frame memory. Knows nothing of people, tiles or folders.

Imports nothing from ``pipeline`` or ``daemon``. Packages import only from those named before them: containers, edits,
video and metadata, audio, media; models; cpu, inference, cuda. Begin at ``protocols`` and ``registry``, the interface
to ``pipeline``.
"""
