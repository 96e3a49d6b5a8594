"""The models: origin, licences, ONNX graphs, and pre- and postprocessing of faces.

Imports nothing else of ``engines`` but its top-level modules. Begin at ``catalogue``, ``yunet`` and ``face_embedding``.
"""
