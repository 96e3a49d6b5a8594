"""One model for all jobs of a device: inputs of several streams in, joined into one batch, outputs back to each."""

from __future__ import annotations

import importlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.cuda_streams import stream_of
from engines.device_errors import device_errors
from engines.inference.device import DeviceEngine
from engines.protocols import InferenceEngine

_IN_FLIGHT = 2  # batches given to the GPU before the oldest is waited for: more only delay, and none would grow


class HostJoint:
    """Shares an engine of the CPU. Satisfies ``engines.protocols.SharedEngine``."""

    def __init__(self, engine: InferenceEngine) -> None:
        self._engine = engine
        self.name = engine.name

    def run_together(self, parts: Sequence[NDArray[np.float32]]) -> list[list[NDArray[np.float32]]]:
        """One list of outputs for each input; inputs differ in their number of frames alone."""
        outputs = self._engine.run(np.concatenate(parts) if len(parts) > 1 else parts[0])
        ends = np.cumsum([len(part) for part in parts])
        return [[o[end - len(part) : end] for o in outputs] for part, end in zip(parts, ends, strict=True)]

    def port(self) -> HostPort:
        return HostPort(self.name)


class HostPort:
    """A job's side of ``HostJoint``: host memory needs no care. Satisfies ``engines.protocols.EnginePort``."""

    def __init__(self, name: str) -> None:
        self.name = name

    def offer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        return batch

    def take(self, answer: list[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        return answer


@dataclass(frozen=True, slots=True)
class DevicePart:
    """An array of the GPU, or several, and the event after which they may be read."""

    arrays: Any
    ready: Any


class DeviceJoint:
    """Shares an engine of a GPU. It has a stream of its own. Satisfies ``engines.protocols.SharedEngine``.

    Nothing waits on the host but for the GPU to keep up: streams wait for each other by events.
    """

    def __init__(self, open_on: Callable[[int], DeviceEngine]) -> None:
        """``open_on`` opens the engine on a CUstream that is given to it, on the current device."""
        self._cupy = importlib.import_module("cupy")
        self._own_stream = self._cupy.cuda.Stream(non_blocking=True)
        self._engine = open_on(int(self._own_stream.ptr))
        self.name = self._engine.name
        self._in_flight: deque[Any] = deque()

    def run_together(self, parts: Sequence[DevicePart]) -> list[DevicePart]:
        """One answer for each input; inputs differ in their number of frames alone."""
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

    def close(self) -> None:
        """Give the model's memory back; nothing may be run afterwards."""
        self._engine.close()

    def port(self, stream: int) -> DevicePort:
        """``stream``: CUstream of the job."""
        return DevicePort(self.name, self._engine, stream)

    def _keep_up(self, done: Any) -> None:
        """Wait for an earlier batch, so that requests gather here while the GPU is busy, and not behind it."""
        self._in_flight.append(done)
        if len(self._in_flight) >= _IN_FLIGHT:
            self._in_flight.popleft().synchronize()


class DevicePort:
    """A job's side of ``DeviceJoint``. Satisfies ``engines.protocols.EnginePort``."""

    def __init__(self, name: str, engine: DeviceEngine, stream: int) -> None:
        self.name = name
        self._engine = engine
        self._cuda = importlib.import_module("cupy").cuda
        self._stream = stream_of(stream)

    def offer(self, batch: Any) -> DevicePart:
        with self._engine.current(), device_errors("handing frames to the detector"):
            return DevicePart(batch, self._stream.record(self._cuda.Event(disable_timing=True)))

    def take(self, answer: DevicePart) -> list[Any]:
        """The outputs, ready in the order of the job's stream.

        Their memory belongs to the engine's stream: wait for what reads them before letting go of them.
        """
        with self._engine.current(), device_errors("taking the detector's outputs"):
            self._stream.wait_event(answer.ready)
        outputs: list[Any] = answer.arrays
        return outputs
