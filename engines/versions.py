"""Versions of the program and its libraries, found without loading any of them."""

from __future__ import annotations

import os
import platform
import re
from contextlib import suppress
from importlib import metadata
from pathlib import Path

_HOST = ("dualface", "av", "numpy", "opencv-python-headless")
_RUNTIMES = ("onnxruntime-gpu", "onnxruntime")  # if both are installed, the first hides the second
_GPU = (
    "cupy-cuda13x",
    "PyNvVideoCodec",
    "tensorrt",
    "tensorrt-cu13",
    "tensorrt-rtx-cu13-bindings",
    "tensorrt-rtx-cu13-libs",
    "onnxconverter-common",
    "nvidia-cuda-nvrtc",
    "nvidia-cuda-runtime",
    "nvidia-cublas",
    "nvidia-cudnn-cu13",
    "nvidia-cufft",
)
_DRIVER = Path("/proc/driver/nvidia/version")


def host_versions() -> dict[str, str]:
    """Return versions of what works on the CPU, "missing" for what is not installed."""
    found = {name: _version(name) or "missing" for name in _HOST}
    runtime = next(filter(None, map(_version, _RUNTIMES)), "missing")
    return found | {"onnxruntime": runtime, "python": platform.python_version(), "libc": _libc()}


def gpu_versions() -> dict[str, str]:
    """Return versions of what works on a GPU and is installed."""
    versions = {name: _version(name) for name in _GPU} | {"nvidia-driver": driver_version()}
    return {name: version for name, version in versions.items() if version}


def driver_version() -> str | None:
    """Return the version of NVIDIA's kernel module; None if it is not loaded."""
    text = _DRIVER.read_text(errors="replace") if _DRIVER.exists() else ""
    found = re.search(r"\b\d{3}\.\d+(\.\d+)?\b", text)
    return found.group() if found else None


def _version(distribution: str) -> str | None:
    with suppress(metadata.PackageNotFoundError):
        return metadata.version(distribution)
    return None


def _libc() -> str:
    with suppress(ValueError, OSError):  # a C library without this entry
        return os.confstr("CS_GNU_LIBC_VERSION") or "unknown"
    return "unknown"
