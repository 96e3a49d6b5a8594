"""Devices, codecs, model runtimes and frame memory. Knows nothing of people, tiles or folders."""
