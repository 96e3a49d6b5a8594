"""Whether there is a GPU to test on: tests that need one are skipped only where there is none."""

from __future__ import annotations

import importlib

import pytest


def count_gpus() -> int:
    try:
        return int(importlib.import_module("cupy").cuda.runtime.getDeviceCount())
    except Exception:  # no CuPy, no driver, no GPU: CuPy's errors for these have no common base
        return 0


needs_gpu = pytest.mark.skipif(count_gpus() == 0, reason="there is no NVIDIA GPU here")
