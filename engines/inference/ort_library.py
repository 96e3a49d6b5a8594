"""ONNX Runtime, loaded with its telemetry switched off. All other modules import it from here."""

from __future__ import annotations

import os

from engines.errors import Component, DeviceUnavailableError

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read while the library loads; nothing may leave the machine

try:
    import onnxruntime
except ModuleNotFoundError as error:
    raise DeviceUnavailableError(
        "ONNX Runtime is not installed",
        remedy="Install onnxruntime, or onnxruntime-gpu for a GPU; never both.",
        component=Component.LIBRARIES,
    ) from error

__all__ = ["onnxruntime"]
