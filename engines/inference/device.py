"""The base of engines on a GPU: stream, inputs from host or GPU, and memory for outputs."""

from __future__ import annotations

import importlib
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from engines.cuda_streams import stream_of
from engines.device_errors import device_errors
from engines.errors import EngineError
from engines.inference.onnxruntime import InferenceFailedError

_LENGTHS = (4, 8, 16, 32)
_ALIGNMENT = 64  # floats between the beginnings of two outputs, 256 bytes


def even_length(count: int) -> int:
    """Return the next of the usual batch lengths, or ``count`` if it exceeds them all."""
    return next((length for length in _LENGTHS if count <= length), count)


class DeviceEngine(ABC):
    """One model on one stream of a GPU. Satisfies ``engines.protocols.InferenceEngine``.

    An input in the GPU's memory gives outputs there without waiting: ready in the order of the stream. An input in
    host memory gives computed outputs in host memory.

    Args:
        index: number of the CUDA device.
        stream: CUstream on which everything runs; 0 takes one that is in order with the default stream.
    """

    name: str

    def __init__(self, index: int, stream: int) -> None:
        self._cupy = importlib.import_module("cupy")
        self._index = index
        self._device = self._cupy.cuda.Device(index)
        with self._device:
            # A new stream that is not non-blocking is in order with the default stream.
            self._stream = stream_of(stream) if stream else self._cupy.cuda.Stream()

    def run(self, batch: Any) -> list[Any]:
        """Return outputs in the model's order for a float32 input of shape (N, ...).

        Raises:
            InferenceFailedError: the input does not fit the model, or the runtime failed.
            DeviceOutOfMemoryError, DeviceLostError: the GPU failed.
        """
        with self.current():
            try:
                with device_errors("running a model"):
                    if hasattr(batch, "__cuda_array_interface__"):
                        return self._executed(self._cupy.ascontiguousarray(batch, np.float32))
                    outputs = self._executed(self._cupy.asarray(np.ascontiguousarray(batch, np.float32)))
                    return [self._cupy.asnumpy(output) for output in outputs]
            except EngineError:
                raise
            except Exception as error:  # the runtimes' own exceptions have no common base
                raise InferenceFailedError(f"{self.name} failed: {error}") from error

    def _executed(self, batch: Any) -> list[Any]:
        """Run a batch, padded to a usual length: libraries search algorithms for each new one, 70 ms on an H200."""
        count, length = len(batch), even_length(len(batch))
        if count == length:
            return self.execute(batch)
        filled = self._cupy.zeros((length, *batch.shape[1:]), np.float32)
        filled[:count] = batch
        return [output[:count] for output in self.execute(filled)]

    @abstractmethod
    def execute(self, batch: Any) -> list[Any]:
        """Put a run on the current stream; ``batch`` is contiguous, float32 and on the GPU."""

    @abstractmethod
    def close(self) -> None:
        """Free the model's memory; the engine must not be used afterwards."""

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make the GPU and the stream CuPy's current ones in this thread."""
        with self._device, self._stream:
            yield

    def _outputs(self, shapes: Sequence[tuple[int, ...]]) -> tuple[Any, list[Any]]:
        """Return a block of memory and the outputs in it: one allocation, and one copy for all."""
        sizes = [math.prod(shape) for shape in shapes]
        starts = [0]
        for size in sizes:
            starts.append(starts[-1] + -(-size // _ALIGNMENT) * _ALIGNMENT)
        block = self._cupy.empty(starts[-1], np.float32)
        return block, self._views(block, shapes, starts)

    def _views(self, block: Any, shapes: Sequence[tuple[int, ...]], starts: Sequence[int]) -> list[Any]:
        return [
            block[start : start + math.prod(shape)].reshape(shape)
            for start, shape in zip(starts, shapes, strict=False)
        ]  # fmt: skip
