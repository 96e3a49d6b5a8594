"""Modules load faster while nobody looks for garbage among them."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """Load modules in here. What they make stays until the end, so the collector need never look at it."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
