"""CUDA streams of other libraries as streams of CuPy."""

from __future__ import annotations

import importlib
from typing import Any


class _Handle:
    """A CUstream in the CUDA stream protocol."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def __cuda_stream__(self) -> tuple[int, int]:
        return 0, self._handle


def stream_of(handle: int) -> Any:
    """Return CuPy's view of a CUstream, which must outlive it; 0 is the default stream."""
    cuda = importlib.import_module("cupy").cuda
    return cuda.Stream.from_external(_Handle(handle)) if handle else cuda.Stream.null
