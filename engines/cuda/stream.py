"""The CUDA streams of a job: their memory, their kernels, and their copies to the host.

All stages of a job behind the decoder, each in a thread of its own, put their work on one stream. So a frame is
analysed and composed before it is encoded, without waiting between threads. Memory that one stage frees may be used by
the next at once: CuPy's pool holds freed blocks per stream, and after the first frames it allocates nothing more.

The decoder has a stream of its own: NVDEC waits for its stream at each frame, and would wait for the detector too.
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

    Attributes:
        readers: a stream that reads memory of this one, if there is one. When memory is freed, reads of it may still
            be waiting there, so new memory is written only after what the readers have been given by then.

    Raises:
        DeviceOutOfMemoryError, DeviceLostError: from every method, if the GPU fails.
    """

    def __init__(self, index: int) -> None:
        self.index = index
        self.readers: JobStream | None = None
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

    def follow(self, other: JobStream) -> None:
        """Begin later work only when all is done that another stream has been given so far."""
        with device_errors("ordering streams"), self._device:
            self._stream.wait_event(other._stream.record(cupy.cuda.Event(disable_timing=True)))

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike = np.uint8) -> DeviceArray:
        with device_errors("allocating memory"), self._device, self._stream:
            memory = cupy.empty(shape, dtype)
            if self.readers is not None:
                self.follow(self.readers)
            return memory

    def zeros(self, shape: tuple[int, ...], dtype: DTypeLike = np.uint8) -> DeviceArray:
        memory = self.empty(shape, dtype)
        with device_errors("filling memory"), self._device, self._stream:
            memory.fill(0)
        return memory

    def address(self, array: DeviceArray) -> int:
        """Return the array's address in the GPU's memory."""
        return int(array.data.ptr)

    def upload(self, array: NDArray[Any]) -> DeviceArray:
        """Return a copy of host memory on the GPU; the host's may change at once."""
        target = self.empty(array.shape, array.dtype)
        with device_errors("copying to the GPU"), self._device, self._stream:
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
