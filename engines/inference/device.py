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

# Inputs of every run; fewer are padded, more are run in parts. Libraries choose other kernels for other lengths, whose
# sums come in another order; with one length, a result does not depend on what an input is asked for together with.
# Six are what the usual detector rate asks for in a batch of frames. On an H200 they take less time than eight, for
# which cuDNN needs two seconds more at the first run.
BATCH = 6
_ALIGNMENT = 64  # floats between the beginnings of two outputs, 256 bytes


class DeviceEngine(ABC):
    """One model on one stream of a GPU. Satisfies ``engines.protocols.InferenceEngine``.

    An input in the GPU's memory gives outputs there without waiting: ready in the order of the stream. An input in
    host memory gives computed outputs in host memory. An input's outputs have the same bits in any batch.

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
        if len(batch) <= BATCH:
            return self._padded(batch)
        parts = [batch[first : first + BATCH] for first in range(0, len(batch), BATCH)]
        done = [[output.copy() for output in self._padded(part)] for part in parts]  # the next run may overwrite them
        return [self._cupy.concatenate(outputs) for outputs in zip(*done, strict=True)]

    def _padded(self, part: Any) -> list[Any]:
        """Run at most ``BATCH`` inputs as a batch of that length."""
        count = len(part)
        if count == BATCH:
            return self.execute(part)
        filled = self._cupy.zeros((BATCH, *part.shape[1:]), np.float32)
        filled[:count] = part
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
