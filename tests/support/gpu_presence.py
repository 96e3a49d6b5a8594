"""Whether there is a card to test on: tests that need one are skipped only where there is none."""

from __future__ import annotations

import importlib

import pytest


def count_cards() -> int:
    try:
        return int(importlib.import_module("cupy").cuda.runtime.getDeviceCount())
    except Exception:  # no CuPy, no driver, no card: CuPy's errors for these have no common base
        return 0


needs_card = pytest.mark.skipif(count_cards() == 0, reason="there is no NVIDIA card here")
