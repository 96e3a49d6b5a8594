"""Size, pixel aspect and orientation of each frame of a stream, which may change midway."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from av.packet import Packet
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from engines.frames import Size, VideoInfo
from engines.video.keyframes import KeyframeAspects
from engines.video.orientation import Orientation, displayed_size, frame_orientation

UNKNOWN_ASPECT = Fraction(0)  # the first frame could not be decoded: the container's aspect applies
MOST_STRETCH = 10  # a pixel aspect beyond this is damage


@dataclass(frozen=True, slots=True)
class Geometry:
    """How a stored frame is converted.

    Attributes:
        orientation: how to make it upright.
        surface: size of the upright frame with its stored pixel aspect.
        display: as ``Frame.display``.
    """

    orientation: Orientation
    surface: Size
    display: Size | None


class Geometries:
    """The geometry of each frame of one stream, after ``GeometryTracker`` has tagged it.

    Args:
        max_pixels: larger surfaces are scaled down; the aspect stays.
    """

    def __init__(self, video: VideoInfo, max_pixels: int) -> None:
        self._video = video
        self._max_pixels = max_pixels
        self._usual = _FrameTag(None, first_orientation(video))
        self._known: dict[tuple[int, int, _FrameTag], Geometry] = {}

    def of(self, frame: VideoFrame) -> Geometry:
        tag = frame.opaque
        key = frame.width, frame.height, tag if isinstance(tag, _FrameTag) else self._usual
        geometry = self._known.get(key)
        if geometry is None:
            geometry = self._known[key] = self._work_out(*key)
        return geometry

    def _work_out(self, width: int, height: int, tag: _FrameTag) -> Geometry:
        video, orientation = self._video, tag.orientation
        surface = fitting(*((height, width) if orientation.swaps_sides else (width, height)), self._max_pixels)
        display = displayed_size(width, height, tag.aspect or video.sample_aspect, orientation)
        return Geometry(orientation, surface, None if display == (video.width, video.height) else display)


def fitting(width: int, height: int, max_pixels: int) -> Size:
    """Return the size, or the largest even size of that aspect with at most ``max_pixels``."""
    if width * height <= max_pixels:
        return width, height
    shrink = math.sqrt(max_pixels / (width * height))
    return max(2, int(width * shrink) // 2 * 2), max(2, int(height * shrink) // 2 * 2)


def surface_size(info: VideoInfo, max_pixels: int) -> Size:
    """Return the upright size of the first frame with its stored pixel aspect, scaled down to ``max_pixels``."""
    width, height = info.coded_width, info.coded_height
    if info.rotation_deg in (90, 270):
        width, height = height, width
    return fitting(width, height, max_pixels)


def first_orientation(video: VideoInfo) -> Orientation:
    return Orientation(video.rotation_deg, video.mirrored)


@dataclass(frozen=True, slots=True)
class _FrameTag:
    """What ``GeometryTracker`` attaches to a frame. ``aspect`` is None if it is the stream's first one."""

    aspect: Fraction | None
    orientation: Orientation


class GeometryTracker:
    """Tags decoded frames whose pixel aspect or orientation differs from the stream's first.

    The codec reports the aspect of the frame that it decodes, which is ahead of the one that it returns. A new aspect
    comes with a new sequence, which begins with a keyframe. The container's orientation comes with every frame, the
    codec's (H.264, HEVC) perhaps only with keyframes. So tags depend only on the frame and the keyframe before it, and
    not on where decoding began.
    """

    def __init__(self, context: VideoCodecContext, video: VideoInfo) -> None:
        self._aspects = KeyframeAspects(context)
        self._first_aspect = video.coded_aspect
        self._first_orientation = first_orientation(video)
        self._aspect = self._first_aspect
        self._orientation = Orientation()
        # Reading a frame's side data puts it in a reference cycle, so each angle is read only once. The angle 0,
        # which may be upside down and mirrored, is taken for the stream's first orientation.
        none = self._first_orientation if self._first_orientation == Orientation(180, mirrored=True) else Orientation()
        self._by_angle = {0: none}
        self._begun = False

    def expect(self, packet: Packet[Stream]) -> None:
        """Record a packet that goes into the codec."""
        if self._first_aspect != UNKNOWN_ASPECT:
            self._aspects.expect(packet)

    def tag(self, frames: Sequence[VideoFrame]) -> list[VideoFrame]:
        """Tag the frames that one call of the codec returned, and return them."""
        aspects = {} if self._first_aspect == UNKNOWN_ASPECT else self._aspects.of(frames)
        return [self._tag(frame, aspects.get(place, self._aspect)) for place, frame in enumerate(frames)]

    def _tag(self, frame: VideoFrame, aspect: Fraction | None) -> VideoFrame:
        begins = frame.key_frame or not self._begun
        self._begun = True
        self._aspect = aspect
        if frame.rotation or begins:
            self._orientation = self._orientation_of(frame)
        if self._aspect != self._first_aspect or self._orientation != self._first_orientation:
            # One object for each frame: PyAV drops it with the first frame that has it.
            frame.opaque = _FrameTag(self._changed_aspect(), self._orientation)
        return frame

    def _orientation_of(self, frame: VideoFrame) -> Orientation:
        angle = frame.rotation
        if angle not in self._by_angle:
            self._by_angle[angle] = frame_orientation(frame) or Orientation()
        return self._by_angle[angle]

    def _changed_aspect(self) -> Fraction | None:
        if self._aspect == self._first_aspect:
            return None
        believable = self._aspect and Fraction(1, MOST_STRETCH) <= self._aspect <= MOST_STRETCH
        return self._aspect if believable else Fraction(1)
