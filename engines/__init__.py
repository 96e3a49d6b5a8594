"""Devices, codecs, containers, model runtimes and frame memory; nothing here knows of people, tiles or folders.

Imports nothing from ``pipeline`` or ``daemon``. Begin at ``protocols`` and ``registry``, the interface to ``pipeline``.
"""
