"""Finding faces and shot changes in frames.

Imports the engines and `pipeline` top-level types. Begin at `face_detector.py`.
"""
