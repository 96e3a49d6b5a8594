"""Devices, codecs, containers, model runtimes and frame memory; nothing here knows of people, tiles or folders.

Imports nothing from ``pipeline`` or ``daemon``. Begin at ``protocols`` and ``registry``, the interface to ``pipeline``.
"""

import os

# ONNX Runtime reports its use to its makers unless this is set before it is loaded. Nothing may leave the machine.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
