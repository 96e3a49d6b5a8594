"""A closer look at places of frames: their luma, and faces for which the whole frame is too small."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from engines.frames import Frame, Rect
from pipeline.detection.finder import Finder
from pipeline.people import Face


class HeadViews:
    """Shows parts of frames whose row is not decided yet; ``HeadFollower`` looks at them where a face is lost.

    Args:
        pending_frames: by pts.
    """

    def __init__(self, finder: Finder, pending_frames: Mapping[int, Frame]) -> None:
        self._finder = finder
        self._pending_frames = pending_frames

    def chip(self, pts: int, part: Rect, size: int) -> NDArray[np.uint8]:
        """Return the luma of a part of a frame, shape (size, size), in whose place outside the frame its edges repeat.

        Args:
            part: in pixels of the canvas.
            size: in pixels.
        """
        frame = self._pending_frames[pts]
        wanted, region = self._finder.in_frame(frame, part), self._finder.region(frame, part)
        place = region.place
        left, columns = _span(place.x - wanted.x, place.w, size / wanted.w, size)
        top, rows = _span(place.y - wanted.y, place.h, size / wanted.h, size)
        luma = self._finder.begin_luma(region.frame, (columns, rows))()
        return np.pad(luma, ((top, size - top - rows), (left, size - left - columns)), "edge")

    def faces(self, pts: int, part: Rect, score: float) -> Sequence[Face]:
        """Return the faces in a part of a frame, with at least this score."""
        return self._finder.find_close(self._pending_frames[pts], part, score)


def _span(offset: float, length: float, scale: float, size: int) -> tuple[int, int]:
    """Return first and number of the chip's pixels that a part of it fills, at least one of ``size``."""
    first = min(max(0, round(offset * scale)), size - 1)
    return first, max(1, min(size, round((offset + length) * scale)) - first)
