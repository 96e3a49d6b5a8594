"""Encoding of a GPU's frames on the CPU: frames are copied to the host through pinned memory."""

from __future__ import annotations

import importlib
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np

from engines.cuda_streams import stream_of
from engines.device_errors import device_errors
from engines.frames import EncodedPacket, Frame, Plane
from engines.protocols import Encoder

_SLOTS = 3
_TO_HOST = 2  # cudaMemcpyDeviceToHost


@dataclass(slots=True)
class _Slot:
    """Pinned memory for one frame, and the event after which it holds one."""

    y: Plane
    uv: Plane
    arrived: Any


class DownloadingEncoder:
    """Copies every frame to the host once and hands it on. Satisfies ``engines.protocols.Encoder``.

    The copy of a frame runs on a stream of its own while the encoder works on earlier ones: frames are handed on
    two later than they come. A frame's memory on the GPU is held until its copy has arrived.

    Args:
        inner: encodes frames in host memory and holds none after its call.
        width, height: size of every frame, both even.
        index: number of the CUDA device.
        stream: CUstream on which frames are drawn; 0 is the default stream.
    """

    def __init__(self, inner: Encoder, width: int, height: int, *, index: int = 0, stream: int = 0) -> None:
        self._cuda = importlib.import_module("cupy").cuda
        self._inner = inner
        self.name = inner.name
        self.extradata = inner.extradata
        self._device = self._cuda.Device(index)
        with device_errors("preparing the copies for the encoder"), self._device:
            self._drawn_on = stream_of(stream)
            self._copies = self._cuda.Stream(non_blocking=True)
            self._drawn = self._cuda.Event(disable_timing=True)
            self._free = [self._slot(width, height) for _ in range(_SLOTS)]
        self._on_the_way: deque[tuple[_Slot, Frame]] = deque()

    def encode(self, frame: Frame) -> list[EncodedPacket]:
        """Take the next frame, in order of pts; return finished packets, in decoding order."""
        with device_errors("copying frames to the encoder"), self._device:
            slot = self._free.pop()
            self._drawn.record(self._drawn_on)
            self._copies.wait_event(self._drawn)
            self._copy(frame.y, slot.y)
            self._copy(frame.uv, slot.uv)
            slot.arrived.record(self._copies)
        self._on_the_way.append((slot, frame))
        return [] if self._free else self._hand_on()

    def flush(self) -> list[EncodedPacket]:
        """Return the remaining packets. The encoder cannot be used afterwards."""
        packets = [packet for _ in range(len(self._on_the_way)) for packet in self._hand_on()]
        return packets + self._inner.flush()

    def _hand_on(self) -> list[EncodedPacket]:
        slot, frame = self._on_the_way.popleft()
        with device_errors("copying frames to the encoder"):
            slot.arrived.synchronize()
        packets = self._inner.encode(Frame(slot.y, slot.uv, frame.pts, frame.duration, frame.replaced))
        self._free.append(slot)
        return packets

    def _copy(self, plane: Any, target: Plane) -> None:
        """Rows of ``plane`` may be padded, those of ``target`` are not."""
        row_bytes = target.strides[0]
        self._cuda.runtime.memcpy2DAsync(
            target.ctypes.data, row_bytes, plane.data.ptr, plane.strides[0], row_bytes, target.shape[0],
            _TO_HOST, self._copies.ptr,
        )  # fmt: skip

    def _slot(self, width: int, height: int) -> _Slot:
        memory = self._cuda.alloc_pinned_memory(width * height * 3 // 2)
        frame = np.frombuffer(memory, np.uint8, width * height * 3 // 2)
        y, uv = frame[: width * height], frame[width * height :]
        event = self._cuda.Event(block=True, disable_timing=True)  # waiting leaves the core to the encoder
        return _Slot(y.reshape(height, width), uv.reshape(height // 2, width // 2, 2), event)
