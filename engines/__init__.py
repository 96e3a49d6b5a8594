"""Devices, codecs, containers, model runtimes and frame memory. Knows nothing of people, tiles or folders.

Packages import only from those named before them: containers, edits, video and metadata, audio, media; models; cpu,
inference, cuda. Begin at `protocols.py` and `registry.py`, which the pipeline uses.
"""

import os

# ONNX Runtime reports its use to its makers unless this is set before it is loaded. Nothing may leave the machine.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
