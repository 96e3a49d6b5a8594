"""One model on a GPU for several jobs of a process: their inputs are joined into one batch, outputs go back to each.

The service does not work like this, since every job has a process of its own: ``tests.gpu.bench_batching`` compares.
"""

from __future__ import annotations

import importlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engines.cuda_streams import stream_of
from engines.device_errors import device_errors
from engines.inference.device import DeviceEngine

_IN_FLIGHT = 2  # batches given to the GPU before the oldest is waited for: more would only delay


@dataclass(frozen=True, slots=True)
class DevicePart:
    """An array on the GPU, or several, and the event after which they may be read."""

    arrays: Any
    ready: Any


class SharedEngine:
    """An engine with a CUDA stream of its own, used by one thread alone.

    The host only waits until the GPU keeps up: streams wait for each other by events.
    """

    def __init__(self, open_on: Callable[[int], DeviceEngine]) -> None:
        """``open_on`` opens the engine on the CUstream that it is given, on the current device."""
        self._cupy = importlib.import_module("cupy")
        self._own_stream = self._cupy.cuda.Stream(non_blocking=True)
        self._engine = open_on(int(self._own_stream.ptr))
        self.name = self._engine.name
        self._in_flight: deque[Any] = deque()

    def run_together(self, parts: Sequence[DevicePart]) -> list[DevicePart]:
        """Return one answer for each input; inputs differ only in their number of frames."""
        with self._engine.current(), device_errors("running the shared detector"):
            for part in parts:
                self._own_stream.wait_event(part.ready)
            arrays = [part.arrays for part in parts]
            outputs = self._engine.run(self._cupy.concatenate(arrays) if len(arrays) > 1 else arrays[0])
            done = self._own_stream.record(self._cupy.cuda.Event(block=True, disable_timing=True))
            self._keep_up(done)
        ends = np.cumsum([len(array) for array in arrays]).tolist()
        return [
            DevicePart([o[end - len(array) : end] for o in outputs], done)
            for array, end in zip(arrays, ends, strict=True)
        ]  # fmt: skip

    def port(self, stream: int) -> EnginePort:
        """Return the side of a job whose CUstream is ``stream``."""
        return EnginePort(self.name, self._engine, stream)

    def _keep_up(self, done: Any) -> None:
        """Wait for an earlier batch, so that requests gather here while the GPU is busy, and not behind it."""
        self._in_flight.append(done)
        if len(self._in_flight) >= _IN_FLIGHT:
            self._in_flight.popleft().synchronize()


class EnginePort:
    """A job's side of a ``SharedEngine``."""

    def __init__(self, name: str, engine: DeviceEngine, stream: int) -> None:
        self.name = name
        self._engine = engine
        self._cuda = importlib.import_module("cupy").cuda
        self._stream = stream_of(stream)

    def offer(self, batch: Any) -> DevicePart:
        """Make an input readable by the thread that runs the batches."""
        with self._engine.current(), device_errors("handing frames to the detector"):
            return DevicePart(batch, self._stream.record(self._cuda.Event(disable_timing=True)))

    def take(self, answer: DevicePart) -> list[Any]:
        """Return the outputs, ready in the order of the job's stream.

        Their memory belongs to the engine's stream: wait for what reads them before letting go of them.
        """
        with self._engine.current(), device_errors("taking the detector's outputs"):
            self._stream.wait_event(answer.ready)
        outputs: list[Any] = answer.arrays
        return outputs
