"""Convert decoded frames to upright 8-bit NV12 with swscale and libavfilter, and deinterlace them.

Full-range frames become limited range; RGB, HDR and BT.2020 become BT.709 (``engines.tone_map``), so that one set of
tags, ``output_color``, holds for all converted frames. More than 8 bits are dithered to 8 (ordered, 8x8) as the last
step.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple, TypeAlias, cast

import cv2
import numpy as np
from av.filter import Graph
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from engines.cpu.graph import build_graph, samples_of
from engines.cpu.tone_lut import TEN_BIT_FORMAT, ten_bit_graph, tone_mapping_graph
from engines.frames import ColorTags, Plane, Size, VideoInfo
from engines.tone_map import ToneSource, tone_source
from engines.video.color import RANGE_FULL, UNSPECIFIED, merge_tags, tags_of
from engines.video.geometry import Geometries, Geometry
from engines.video.orientation import Orientation
from engines.video.timeline import Slot

Frame: TypeAlias = VideoFrame
Planes: TypeAlias = tuple[Plane, Plane]

MATRIX_RGB, MATRIX_BT709, MATRIX_UNSPECIFIED, MATRIX_BT601 = 0, 1, 2, 6
SD_LINES = 576
# ITU-T H.273, section 8.3: full-range samples, 0..255, to limited ones, 16..235 and 16..240.
LIMITED_LUMA = np.rint(16 + np.arange(256) * 219 / 255).astype(np.uint8)
LIMITED_CHROMA = np.rint(128 + (np.arange(256) - 128) * 224 / 255).astype(np.uint8)
BT709 = ColorTags(1, 1, 1, full_range=False)
_UPRIGHT = Orientation()
_Key: TypeAlias = tuple[int, int, str, int, int]


class Upright(NamedTuple):
    """The planes of an upright NV12 frame. ``display`` is as in ``engines.frames.Frame``."""

    y: Plane
    uv: Plane
    display: Size | None = None


def output_color(info: VideoInfo, *, keep_hdr: bool = False) -> ColorTags:
    """Return the colour tags of converted frames: limited range, never RGB; HDR or BT.2020 only with ``keep_hdr``.

    Players take untagged standard-definition video for BT.601, but a 1080-line output for BT.709; so it is tagged here.
    """
    if tone_source(info.color) is not None:
        return kept_color(info.color) if keep_hdr else BT709
    tags = replace(info.color, full_range=False, mastering_display="", content_light="")
    if tags.matrix == MATRIX_RGB or info.pix_fmt.startswith(("rgb", "bgr", "gbr", "argb", "abgr", "pal8")):
        return replace(tags, matrix=MATRIX_BT709)
    if tags.matrix == MATRIX_UNSPECIFIED and info.coded_height <= SD_LINES:
        return replace(tags, matrix=MATRIX_BT601)
    return tags


def kept_color(tags: ColorTags) -> ColorTags:
    """Return complete tags for HDR that is kept, because players guess missing ones differently."""
    primaries = 9 if tags.primaries == UNSPECIFIED else tags.primaries
    transfer = 14 if tags.transfer == UNSPECIFIED else tags.transfer
    return replace(tags, primaries=primaries, transfer=transfer, matrix=9, full_range=False)


def planes_of(frame: VideoFrame) -> Planes:
    """Return views of an NV12 or P010 frame's memory, which lives as long as the views."""
    luma, chroma = frame.planes
    kind = np.uint16 if frame.format.name == TEN_BIT_FORMAT else np.uint8
    y = samples_of(luma, kind)[:, : frame.width]
    uv = samples_of(chroma, kind).reshape(chroma.height, -1, 2)[:, : (frame.width + 1) // 2]
    return y, uv


def _apply_table(samples: Plane, table: Plane) -> Plane:
    return cast(Plane, cv2.LUT(samples, table))


class Converter:
    """Converts decoded frames to upright NV12, each in the size of its own geometry.

    Args:
        video: description of the stream's first frame.
        max_pixels: larger frames are scaled down; the aspect stays.
        keep_hdr: convert to P010 in the stream's own colours instead.
    """

    def __init__(self, video: VideoInfo, max_pixels: int, *, keep_hdr: bool = False) -> None:
        self._video = video
        self._keep_hdr = keep_hdr
        self._geometries = Geometries(video, max_pixels)
        self._reformatter = VideoReformatter()
        self._graph: Graph | None = None
        self._graph_key: tuple[_Key, Geometry, ToneSource | None] | None = None
        self._colors: tuple[int, int, int] | None = None
        self._tone: ToneSource | None = None

    def convert(self, frame: VideoFrame) -> Upright:
        """Return the NV12 planes of a frame, possibly read-only views of the codec's memory."""
        geometry = self._geometries.of(frame)
        if self._keep_hdr:
            return Upright(*planes_of(self._filtered(frame, geometry)), geometry.display)
        self._note_colors(frame)
        if not self._is_plain(frame, geometry):
            return Upright(*planes_of(self._as_nv12(self._filtered(frame, geometry))), geometry.display)
        y, uv = planes_of(self._as_nv12(frame))
        if frame.color_range == RANGE_FULL or frame.format.name == "yuvj420p":
            y, uv = _apply_table(y, LIMITED_LUMA), _apply_table(uv, LIMITED_CHROMA)
        return Upright(y, uv, geometry.display)

    def _note_colors(self, frame: VideoFrame) -> None:
        colors = frame.color_primaries, frame.color_trc, frame.colorspace
        if colors != self._colors:
            self._colors = colors
            self._tone = tone_source(merge_tags(tags_of(frame), self._video.color), self._video.peak_cd_m2)

    def _as_nv12(self, frame: VideoFrame) -> VideoFrame:
        if frame.format.name == "nv12":
            return frame
        color_range = int(frame.color_range)  # equal on both sides: samples are only rearranged
        return self._reformatter.reformat(
            frame, format="nv12", src_color_range=color_range, dst_color_range=color_range, threads=1
        )

    def _is_plain(self, frame: VideoFrame, geometry: Geometry) -> bool:
        return (
            frame.format.name in ("yuv420p", "yuvj420p", "nv12")
            and (frame.width, frame.height) == geometry.surface
            and geometry.orientation == _UPRIGHT
            and self._tone is None
        )

    def _filtered(self, frame: VideoFrame, geometry: Geometry) -> VideoFrame:
        key = _key_of(frame), geometry, self._tone
        if self._graph is None or key != self._graph_key:
            self._graph, self._graph_key = self._build(frame, geometry), key
        self._graph.vpush(frame)
        return self._graph.vpull()

    def _build(self, frame: VideoFrame, geometry: Geometry) -> Graph:
        width, height = geometry.surface[::-1] if geometry.orientation.swaps_sides else geometry.surface
        rotation = geometry.orientation.filters()
        if self._keep_hdr:
            return ten_bit_graph(frame, self._matrix(frame), (width, height), rotation)
        if self._tone is not None:
            return tone_mapping_graph(frame, self._tone, self._matrix(frame), (width, height), rotation)
        rgb = frame.format.is_rgb or frame.format.name == "pal8"
        scale = f"{width}:{height}:flags=bicubic+accurate_rnd:sws_dither=bayer:out_range=limited"
        scale += ":out_color_matrix=bt709" if rgb else ""
        return build_graph(frame, [("scale", scale), ("format", "yuv420p"), *rotation])

    def _matrix(self, frame: VideoFrame) -> int:
        return merge_tags(tags_of(frame), self._video.color).matrix


class Deinterlacer:
    """Applies bwdif to frames flagged as interlaced, one frame out per frame in; other frames pass unchanged.

    It starts at the first flagged frame, after being fed the frame before, so that the result does not depend on where
    decoding began. bwdif needs the next frame, which delays slots by one.
    """

    def __init__(self, interlaced: bool) -> None:
        self._active = interlaced
        self._graph: Graph | None = None
        self._key: _Key | None = None
        self._previous: VideoFrame | None = None
        self._pending: deque[Slot[Frame]] = deque()
        self._skip = 0
        self._clock = 0

    def run(self, slots: Iterator[Slot[Frame]]) -> Iterator[Slot[Frame]]:
        """Yield the deinterlaced slots; lost frames pass unchanged."""
        for slot in slots:
            self._active = self._active or bool(slot.frame and slot.frame.interlaced_frame)
            if self._active:
                yield from self._deinterlace(slot)
            else:
                self._previous = slot.frame or self._previous
                yield slot
        yield from self._drain()

    def _deinterlace(self, slot: Slot[Frame]) -> Iterator[Slot[Frame]]:
        if slot.frame is not None:
            yield from self._fit_graph(slot.frame)
            self._push(slot.frame)
        self._pending.append(slot)
        yield from self._ready()

    def _fit_graph(self, frame: VideoFrame) -> Iterator[Slot[Frame]]:
        """Build a graph for the frame if there is none, or after the size changed."""
        key = _key_of(frame)
        if key == self._key:
            return
        yield from self._drain()
        self._key = key
        self._graph = build_graph(frame, [("bwdif", "mode=send_frame:parity=auto:deint=interlaced")])
        if self._previous is not None and _key_of(self._previous) == key:
            self._push(self._previous)
            self._skip = 1
        self._previous = None

    def _push(self, frame: VideoFrame) -> None:
        assert self._graph is not None
        frame.pts = self._clock
        self._clock += 1
        self._graph.vpush(frame)

    def _ready(self) -> Iterator[Slot[Frame]]:
        while True:
            while self._pending and self._pending[0].frame is None:
                yield self._pending.popleft()
            frame = self._pull()
            if frame is None:
                return
            if self._skip:
                self._skip -= 1
            else:
                slot = self._pending.popleft()
                yield replace(slot, frame=frame)

    def _pull(self) -> VideoFrame | None:
        try:
            return self._graph.vpull() if self._graph else None
        except (BlockingIOError, EOFError):
            return None

    def _drain(self) -> Iterator[Slot[Frame]]:
        if self._graph is not None:
            self._graph.vpush(None)
        yield from self._ready()
        yield from self._pending
        self._pending.clear()
        self._graph, self._key = None, None


def _key_of(frame: VideoFrame) -> _Key:
    return frame.width, frame.height, frame.format.name, int(frame.color_range), int(frame.colorspace)
