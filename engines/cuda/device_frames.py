"""NV12 frames in the GPU's memory: their layout, and their description for kernels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engines.cuda.kernels import FRAME, FRAMES, MOST_FRAMES
from engines.cuda.stream_protocol import DeviceArray, DeviceWork
from engines.frames import Frame

DevicePlanes = tuple[DeviceArray, DeviceArray]


def empty_planes(stream: DeviceWork, width: int, height: int) -> DevicePlanes:
    """Return luma and chroma planes of a frame, contiguous, in one block of memory."""
    return split(stream.empty((frame_bytes(width, height),)), width, height)


def frame_bytes(width: int, height: int) -> int:
    return width * height + (width + 1) // 2 * ((height + 1) // 2) * 2


def split(memory: DeviceArray, width: int, height: int) -> DevicePlanes:
    """Return the planes of a frame that fills a block of bytes."""
    chroma = (height + 1) // 2, (width + 1) // 2, 2
    return memory[: width * height].reshape(height, width), memory[width * height :].reshape(chroma)


def frame_of(stream: DeviceWork, planes: DevicePlanes) -> tuple[int, ...]:
    """Return the values of ``kernels.FRAME`` for two planes; rows may be padded."""
    y, uv = planes
    return stream.address(y), stream.address(uv), y.strides[0], uv.strides[0], y.shape[1], y.shape[0]


def one(stream: DeviceWork, planes: DevicePlanes) -> Any:
    return np.array(frame_of(stream, planes), FRAME)


def many(stream: DeviceWork, frames: Sequence[Frame]) -> Any:
    """Return up to ``MOST_FRAMES`` frames as ``kernels.FRAMES``."""
    if len(frames) > MOST_FRAMES:
        raise ValueError(f"{len(frames)} frames do not go into one launch")
    images = np.zeros((), FRAMES)
    images["at"][: len(frames)] = [frame_of(stream, (frame.y, frame.uv)) for frame in frames]
    return images
