"""How each frame of a stream is shown, also where size, pixel aspect or orientation change midway."""

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

UNKNOWN_ASPECT = Fraction(0)  # of a stream whose first frame could not be decoded: the container's counts
MOST_STRETCH = 10  # no display has pixels so wide or so narrow: such an aspect is damage


@dataclass(frozen=True, slots=True)
class Geometry:
    """How a stored frame becomes one of our own.

    Attributes:
        orientation: what makes it upright.
        surface: size of the upright frame, pixel aspect left alone.
        display: as ``Frame.display``.
    """

    orientation: Orientation
    surface: Size
    display: Size | None


class Geometries:
    """The geometry of every frame of one stream, once ``GeometryTracker`` has seen it.

    Args:
        max_pixels: larger surfaces are scaled down, aspect kept.
    """

    def __init__(self, video: VideoInfo, max_pixels: int) -> None:
        self._video = video
        self._max_pixels = max_pixels
        self._usual = _Noted(None, first_orientation(video))
        self._known: dict[tuple[int, int, _Noted], Geometry] = {}

    def of(self, frame: VideoFrame) -> Geometry:
        noted = frame.opaque
        key = frame.width, frame.height, noted if isinstance(noted, _Noted) else self._usual
        geometry = self._known.get(key)
        if geometry is None:
            geometry = self._known[key] = self._work_out(*key)
        return geometry

    def _work_out(self, width: int, height: int, noted: _Noted) -> Geometry:
        video, orientation = self._video, noted.orientation
        surface = fitting(*((height, width) if orientation.swaps_sides else (width, height)), self._max_pixels)
        display = displayed_size(width, height, noted.aspect or video.sample_aspect, orientation)
        return Geometry(orientation, surface, None if display == (video.width, video.height) else display)


def fitting(width: int, height: int, max_pixels: int) -> Size:
    """The size, or where it has more than ``max_pixels`` the largest even one of that aspect that fits."""
    if width * height <= max_pixels:
        return width, height
    shrink = math.sqrt(max_pixels / (width * height))
    return max(2, int(width * shrink) // 2 * 2), max(2, int(height * shrink) // 2 * 2)


def first_orientation(video: VideoInfo) -> Orientation:
    return Orientation(video.rotation_deg, video.mirrored)


@dataclass(frozen=True, slots=True)
class _Noted:
    """What is noted on a frame. ``aspect`` is None where it is what the stream began with."""

    aspect: Fraction | None
    orientation: Orientation


class GeometryTracker:
    """Notes on frames, as they leave the codec, where pixel aspect or orientation are not what they were at first.

    The codec tells the aspect of the frames that it decodes, which are some ahead of those that it puts out. A new
    one comes with a new sequence, and that begins with a keyframe. The container's orientation comes with every
    frame, the codec's (H.264, HEVC) perhaps with keyframes alone. So notes depend on the frame and the keyframe
    before it, and are the same wherever decoding began.
    """

    def __init__(self, context: VideoCodecContext, video: VideoInfo) -> None:
        self._aspects = KeyframeAspects(context)
        self._first_aspect = video.coded_aspect
        self._first_orientation = first_orientation(video)
        self._aspect = self._first_aspect
        self._orientation = Orientation()
        # A frame's side data, once looked at, keep it in a reference cycle: so each angle is looked up once, and
        # none, which may be upside down and mirrored, is taken for what the stream began with.
        none = self._first_orientation if self._first_orientation == Orientation(180, mirrored=True) else Orientation()
        self._by_angle = {0: none}
        self._begun = False

    def expect(self, packet: Packet[Stream]) -> None:
        """Note a packet that goes into the codec."""
        if self._first_aspect != UNKNOWN_ASPECT:
            self._aspects.expect(packet)

    def noted(self, frames: Sequence[VideoFrame]) -> list[VideoFrame]:
        """The frames that the codec gave at once, with notes on them."""
        aspects = {} if self._first_aspect == UNKNOWN_ASPECT else self._aspects.of(frames)
        return [self._note(frame, aspects.get(place, self._aspect)) for place, frame in enumerate(frames)]

    def _note(self, frame: VideoFrame, aspect: Fraction | None) -> VideoFrame:
        begins = frame.key_frame or not self._begun
        self._begun = True
        self._aspect = aspect
        if frame.rotation or begins:
            self._orientation = self._orientation_of(frame)
        if self._aspect != self._first_aspect or self._orientation != self._first_orientation:
            # One object for each frame: PyAV forgets it as soon as the first frame that has it is gone.
            frame.opaque = _Noted(self._changed_aspect(), self._orientation)
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
