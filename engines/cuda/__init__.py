"""The parts of a job that work in the memory of an NVIDIA GPU: decode, preprocess, compose, encode.

Imports ``media``, ``edits``, ``cpu``, ``models`` and ``inference`` of ``engines``. Begin at ``backend``, which needs
CuPy, as ``stream`` does.
"""
