"""How each picture of a stream is shown, also where size, pixel aspect or orientation change midway."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from engines.cpu import orientation
from engines.cpu.orientation import Orientation, displayed_size
from engines.frames import Size, VideoInfo

MOST_STRETCH = 10                     # no display has pixels so wide or so narrow: such an aspect is damage


@dataclass(frozen=True, slots=True)
class Geometry:
    """How a stored picture becomes one of our own.

    Attributes:
        held: what makes it upright.
        surface: size of the upright picture, pixel aspect left alone.
        display: as ``Frame.display``.
    """

    held: Orientation
    surface: Size
    display: Size | None


class Geometries:
    """The geometry of every picture of one stream.

    It depends on the picture alone and on the latest keyframe, so it is the same wherever decoding began.

    Args:
        max_pixels: larger surfaces are scaled down, aspect kept.
    """

    def __init__(self, video: VideoInfo, max_pixels: int) -> None:
        self._video = video
        self._max_pixels = max_pixels
        self._held = Orientation()
        self._known: dict[tuple[int, int, Fraction | None, Orientation], Geometry] = {}

    def of(self, frame: VideoFrame) -> Geometry:
        key = frame.width, frame.height, noted_aspect(frame), self._orientation(frame)
        geometry = self._known.get(key)
        if geometry is None:
            geometry = self._known[key] = self._worked_out(*key)
        return geometry

    def _orientation(self, frame: VideoFrame) -> Orientation:
        stated = orientation.of_frame(frame)
        if stated is not None or frame.key_frame:
            self._held = stated or Orientation()
        return self._held

    def _worked_out(self, width: int, height: int, aspect: Fraction | None, held: Orientation) -> Geometry:
        video = self._video
        surface = fitting(*((height, width) if held.swaps_sides else (width, height)), self._max_pixels)
        display = displayed_size(width, height, aspect or video.sample_aspect, held)
        return Geometry(held, surface, None if display == (video.width, video.height) else display)


def fitting(width: int, height: int, max_pixels: int) -> Size:
    """The size, or where it has more than ``max_pixels`` the largest even one of that aspect that fits."""
    if width * height <= max_pixels:
        return width, height
    shrink = math.sqrt(max_pixels / (width * height))
    return max(2, int(width * shrink) // 2 * 2), max(2, int(height * shrink) // 2 * 2)


def noted_aspect(frame: VideoFrame) -> Fraction | None:
    """The picture's pixel aspect where it is another than the stream began with."""
    aspect = frame.opaque
    return aspect if isinstance(aspect, Fraction) else None


class AspectNotes:
    """Notes on pictures, as they leave the codec, that the codec's pixel aspect is no longer what it was at first.

    The codec tells what holds for the pictures that it decodes, which are some ahead of those that it puts out. A new
    aspect comes with a new sequence, and that begins with a keyframe.
    """

    def __init__(self, context: VideoCodecContext, first: Fraction | None) -> None:
        self._context = context
        self._first = first
        self._current: Fraction | None = None
        self._begun = False

    def note(self, frame: VideoFrame) -> VideoFrame:
        latest = self._context.sample_aspect_ratio
        if latest != self._current and (frame.key_frame or not self._begun):
            self._current = latest
        self._begun = True
        if self._current != self._first:
            frame.opaque = _believable(self._current)
        return frame


def _believable(aspect: Fraction | None) -> Fraction:
    """An object of its own for each picture: PyAV forgets one as soon as the first picture that has it is gone."""
    stands = aspect is not None and Fraction(1, MOST_STRETCH) <= aspect <= MOST_STRETCH
    return Fraction(aspect or 1) if stands else Fraction(1)
