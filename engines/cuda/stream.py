"""The CUDA stream of a job: its memory, its kernels, and its copies to the host.

All stages of a job, each in a thread of its own, put their work on this one stream. So a frame is decoded before it
is analysed, and composed before it is encoded, without waiting between threads. Memory that one stage frees may be used
by the next at once: CuPy's pool holds freed blocks per stream, and after the first frames it allocates nothing more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import cupy
import cupyx
import numpy as np
from numpy.typing import DTypeLike, NDArray

from engines.cuda import kernels
from engines.cuda.stream_protocol import DeviceArray
from engines.device_errors import device_errors

_DEVICE_TO_DEVICE = 3  # cudaMemcpyDeviceToDevice
_compiling = threading.Lock()


class JobStream:
    """A non-blocking stream on the GPU ``index``. Satisfies ``engines.cuda.stream_protocol.DeviceWork``.

    Raises:
        DeviceOutOfMemoryError, DeviceLostError: from every method, if the GPU fails.
    """

    def __init__(self, index: int) -> None:
        self.index = index
        self.bytes_to_host = 0
        self._device = cupy.cuda.Device(index)
        with device_errors("opening a stream"), self._device:
            self._stream = cupy.cuda.Stream(non_blocking=True)
            with _compiling:
                self._kernels = kernels.compiled()

    @property
    def handle(self) -> int:
        """The CUstream, for libraries that work on it."""
        return int(self._stream.ptr)

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make the GPU and the stream CuPy's current ones in this thread."""
        with self._device, self._stream:
            yield

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike = np.uint8) -> DeviceArray:
        with device_errors("allocating memory"), self._device, self._stream:
            return cupy.empty(shape, dtype)

    def zeros(self, shape: tuple[int, ...], dtype: DTypeLike = np.uint8) -> DeviceArray:
        with device_errors("allocating memory"), self._device, self._stream:
            return cupy.zeros(shape, dtype)

    def address(self, array: DeviceArray) -> int:
        """Return the array's address in the GPU's memory."""
        return int(array.data.ptr)

    def upload(self, array: NDArray[Any]) -> DeviceArray:
        """Return a copy of host memory on the GPU; the host's may change at once."""
        with device_errors("copying to the GPU"), self._device, self._stream:
            target = cupy.empty(array.shape, array.dtype)
            target.set(np.ascontiguousarray(array), stream=self._stream)
            return target

    def copy(self, target: DeviceArray, source: int, size: int) -> None:
        """Copy ``size`` bytes on the GPU, from an address to an array."""
        with device_errors("copying on the GPU"), self._device:
            cupy.cuda.runtime.memcpyAsync(target.data.ptr, source, size, _DEVICE_TO_DEVICE, self._stream.ptr)

    def to_host(self, array: DeviceArray) -> NDArray[Any]:
        """Wait until the array is computed, and copy it to the host."""
        return self.begin_to_host(array)()

    def begin_to_host(self, array: DeviceArray) -> Callable[[], NDArray[Any]]:
        """Begin to copy an array to the host, through pinned memory; the result waits and returns it."""
        with device_errors("copying from the GPU"), self._device, self._stream:
            host: NDArray[Any] = cupyx.empty_pinned(array.shape, array.dtype)
            array.get(stream=self._stream, out=host, blocking=False)
            # The thread sleeps while it waits: the encoders need the cores.
            arrived = cupy.cuda.Event(block=True, disable_timing=True)
            arrived.record(self._stream)
        self.bytes_to_host += host.nbytes

        def wait() -> NDArray[Any]:
            with device_errors("copying from the GPU"):
                arrived.synchronize()
            return host

        return wait

    def launch(self, kernel: str, grid: tuple[int, ...], block: tuple[int, ...], *arguments: Any) -> None:
        """Put a kernel on the stream.

        Arguments are arrays of the GPU, NumPy scalars, and structures of ``engines.cuda.kernels`` (by value).
        """
        with device_errors(f"starting the kernel {kernel}"), self._device, self._stream:
            self._kernels[kernel](grid, block, arguments)

    def synchronize(self) -> None:
        """Wait until all work is done."""
        with device_errors("waiting for the GPU"), self._device:
            self._stream.synchronize()

    def release(self) -> None:
        """Wait, and free unused memory of the stream's pool."""
        self.synchronize()
        with device_errors("giving memory back"), self._device:
            cupy.get_default_memory_pool().free_all_blocks(self._stream)
