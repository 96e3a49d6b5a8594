"""Model runtimes behind ``engines.protocols.InferenceEngine``: ONNX Runtime on CPU and GPU, and TensorRT.

Imports ``engines.models`` and nothing of ``engines.cuda``. Begin at ``select`` for a GPU, ``ort_cache`` for the CPU.
"""
