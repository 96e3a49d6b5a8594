"""Devices, codecs, model runtimes and frame memory. Knows nothing of people, tiles or folders."""

import os

# ONNX Runtime reports its use to its makers unless this is set before it is loaded. Nothing may leave the machine.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
