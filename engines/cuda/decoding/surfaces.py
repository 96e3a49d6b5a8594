"""Conversion of a decoder's surface to an upright NV12 frame in memory of its own: decoders reuse their surfaces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engines.cuda.compose import draw_tiles
from engines.cuda.decoding.tone import ToneTable, white_and_middle
from engines.cuda.device_frames import DevicePlanes, empty_planes, frame_bytes, one, split
from engines.cuda.kernels import SURFACE
from engines.cuda.stream_protocol import DeviceArray, DeviceWork
from engines.frames import Frame, Plane, Rect, VideoInfo
from engines.protocols import TileSource
from engines.tone_map import tone_source

_BLOCK = 16, 16
_MOST_TOGETHER, _MOST_BYTES = 8, 32 * 2**20  # frames whose memory is allocated together
_LUMA_BLACK, _LUMA_STEPS = 16, 219  # limited range, 8 bits (BT.601, BT.709)
_CHROMA_GREY, _CHROMA_STEPS = 128, 224


@dataclass(frozen=True, slots=True)
class Surface:
    """A decoded 4:2:0 frame with interleaved chroma in the GPU's memory, not yet upright.

    Attributes:
        y, uv: addresses.
        y_pitch, uv_pitch: bytes from row to row.
        wide: two bytes per sample, the value in the upper bits.
    """

    y: int
    uv: int
    y_pitch: int
    uv_pitch: int
    width: int
    height: int
    wide: bool


class SurfaceConverter:
    """Turns surfaces of one stream into upright 8-bit NV12 frames of limited range, SDR and one size.

    Args:
        video: orientation, and range, depth and colours of the samples.
        width, height: size of the frames.
    """

    def __init__(self, stream: DeviceWork, video: VideoInfo, width: int, height: int) -> None:
        self._stream = stream
        self._video = video
        self._width, self._height = width, height
        self._sideways = video.rotation_deg in (90, 270)
        source = tone_source(video.color, video.peak_cd_m2)
        self._tone = None if source is None else ToneTable(stream, video, source)
        self._unused: list[DeviceArray] = []
        self._is_plain = not (video.rotation_deg or video.mirrored or video.color.full_range or self._tone)

    def convert(self, surface: Surface) -> DevicePlanes:
        """Return new planes; work that the stream is given later may overwrite the surface."""
        if self._is_plain and self._fits(surface) and _is_contiguous(surface):
            return self._copied(surface)
        planes = self._upright(surface)
        if planes[0].shape == (self._height, self._width):
            return planes
        return self._scaled(planes)

    def _fits(self, surface: Surface) -> bool:
        return not surface.wide and (surface.width, surface.height) == (self._width, self._height)

    def _copied(self, surface: Surface) -> DevicePlanes:
        memory = self._memory()
        self._stream.copy(memory, surface.y, memory.size)
        return split(memory, self._width, self._height)

    def _memory(self) -> DeviceArray:
        """Return memory for a frame. It is freed with that of the frames beside it, when none of them is needed."""
        if not self._unused:
            size = frame_bytes(self._width, self._height)
            self._unused = list(self._stream.empty((max(1, min(_MOST_TOGETHER, _MOST_BYTES // size)), size)))
        return self._unused.pop()

    def _upright(self, surface: Surface) -> DevicePlanes:
        width, height = surface.width, surface.height
        if self._sideways:
            width, height = height, width
        planes = empty_planes(self._stream, width, height)
        chroma_height, chroma_width, _ = planes[1].shape
        grid = -(-chroma_width // _BLOCK[0]), -(-chroma_height // _BLOCK[1])
        described, target = self._described(surface), one(self._stream, planes)
        if self._tone is None:
            self._stream.launch("upright", grid, _BLOCK, described, target)
        else:
            tone = self._tone.described(wide=surface.wide)
            self._stream.launch("tone_mapped", grid, _BLOCK, described, target, tone)
        return planes

    def _described(self, surface: Surface) -> Any:
        video = self._video
        described = np.zeros((), SURFACE)
        for name in ("y", "uv", "y_pitch", "uv_pitch", "width", "height", "wide"):
            described[name] = getattr(surface, name)
        described["clockwise_deg"], described["mirrored"] = video.rotation_deg, video.mirrored
        names = ("black", "luma_gain", "grey", "chroma_gain")
        for name, value in zip(names, _levels(video, wide=surface.wide), strict=True):
            described[name] = value
        return described

    def _scaled(self, planes: DevicePlanes) -> DevicePlanes:
        """Scale the whole frame with the compositor's filters."""
        memory = self._stream.empty((frame_bytes(self._width, self._height),))
        height, width = planes[0].shape
        whole = TileSource(Frame(*planes, pts=0, duration=1), Rect(0, 0, width, height))
        draw_tiles(self._stream, [whole], memory, self._width, self._height, across=1)
        return split(memory, self._width, self._height)


def upload(stream: DeviceWork, planes: Sequence[Plane]) -> DevicePlanes:
    """Upload a frame from host memory, whose rows may be padded."""
    height, width = planes[0].shape
    memory = np.concatenate([np.ascontiguousarray(plane).reshape(-1) for plane in planes])
    return split(stream.upload(memory), width, height)


def _is_contiguous(surface: Surface) -> bool:
    return (
        surface.y_pitch == surface.uv_pitch == surface.width
        and surface.uv == surface.y + surface.width * surface.height
    )


def _levels(video: VideoInfo, *, wide: bool) -> tuple[float, float, float, float]:
    """Black and gain of luma, grey and gain of chroma: 8-bit value = first + second * stored value."""
    if not video.color.full_range:
        gain = 1 / 256 if wide else 1.0
        return 0.0, gain, 0.0, gain
    white, middle = white_and_middle(video, wide=wide)
    chroma_gain = _CHROMA_STEPS / white
    return _LUMA_BLACK, _LUMA_STEPS / white, _CHROMA_GREY - middle * chroma_gain, chroma_gain
