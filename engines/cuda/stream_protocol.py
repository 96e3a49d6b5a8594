"""The interface of the CUDA stream that the parts of the CUDA backend work on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

DeviceArray = Any  # cupy.ndarray; CuPy carries no types, and only ``stream`` imports it


class DeviceWork(Protocol):
    """A stream of the GPU: work is done in the order in which it is given; ``to_host`` waits for it.

    Attributes:
        bytes_to_host: copied to the host so far.
    """

    bytes_to_host: int

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike = np.uint8) -> DeviceArray:
        """Return contiguous memory of the GPU."""
        ...

    def zeros(self, shape: tuple[int, ...], dtype: DTypeLike = np.uint8) -> DeviceArray: ...

    def address(self, array: DeviceArray) -> int:
        """Return the array's address in the GPU's memory."""
        ...

    def upload(self, array: NDArray[Any]) -> DeviceArray:
        """Return a copy of host memory on the GPU; the host's may change at once."""
        ...

    def copy(self, target: DeviceArray, source: int, size: int) -> None:
        """Copy ``size`` bytes on the GPU, from an address to an array."""
        ...

    def to_host(self, array: DeviceArray) -> NDArray[Any]:
        """Wait until the array is computed, and copy it to the host."""
        ...

    def begin_to_host(self, array: DeviceArray) -> Callable[[], NDArray[Any]]:
        """Begin to copy an array to the host; the result waits and returns it."""
        ...

    def launch(self, kernel: str, grid: tuple[int, ...], block: tuple[int, ...], *arguments: Any) -> None:
        """Start a kernel.

        Arguments are arrays of the GPU, NumPy scalars, and structures of ``engines.cuda.kernels`` (by value).
        """
        ...
