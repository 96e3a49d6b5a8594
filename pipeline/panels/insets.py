"""Insets: a small picture with borders on all four sides inside a large one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from engines.frames import Rect
from pipeline.panels.layout import BORDER_INSET, Floats, holds_centre, tolerant

_STEADY = 0.7  # mean vote: a border that stays where it is while people move
_WIDE, _HIGH = 3.5, 2.5  # of a face's width and height: how far the borders may be from it
_CROP = 0.3  # of a face's height that an inset may cut off above and below
_STRIPS_LEAST = 3  # that a border must have; the votes of each must say so
_SIDE, _KNOWN = 0.6, 0.5  # of the strips of each side: on which a border is seen, and that of a known inset
_QUALITY, _BEYOND = 3.5, 0.25  # of the four sides together; what each loses that goes on beyond a corner
_LARGEST = 0.35  # of the area of the picture around it
_HEAD = 0.4  # of a face's width and height: what the picture around the inset keeps beside other faces

_FRAME = Rect(0.0, 0.0, 1.0, 1.0)


def with_insets(
    panels: Sequence[Rect], vertical: Floats, horizontal: Floats, faces: Sequence[Rect], known: Sequence[Rect] = ()
) -> tuple[Rect, ...]:
    """Return the panels, each with an inset divided into both: the inset, and the largest part beside it.

    Args:
        panels: in parts of the frame's width and height; none where the frame is undivided.
        vertical, horizontal, faces, known: as in ``layout.find_panels``.
    """
    borders = _Borders(vertical, horizontal)
    found: list[Rect] = []
    for region in panels or (_FRAME,):
        inside = sorted((f for f in faces if holds_centre(region, f)), key=lambda f: f.w * f.h)
        found += _divided(region, inside, borders, known)
    return () if found == [_FRAME] else tuple(found)


def _divided(region: Rect, faces: Sequence[Rect], borders: _Borders, known: Sequence[Rect]) -> list[Rect]:
    for face in faces[:-1]:
        for inset in (*(k for k in known if min(borders.sides(k)) >= _KNOWN), *borders.insets(face)):
            outside = [f for f in faces if not holds_centre(inset, f)]
            is_small = inset.w * inset.h <= _LARGEST * region.w * region.h
            is_apart = not any(_overlap(inset, f) for f in outside)
            if _holds_sides(inset, face) and faces[-1] in outside and is_small and is_apart:
                return [_beside(region, borders.outside(inset), outside), inset]
    return [region]


def _beside(region: Rect, inset: Rect, faces: Sequence[Rect]) -> Rect:
    """Return the largest part of a region without the inset that holds all faces; the region where there is none."""
    right, bottom = region.x + region.w, region.y + region.h
    parts = (
        Rect(region.x, region.y, inset.x - region.x, region.h),
        Rect(inset.x + inset.w, region.y, right - inset.x - inset.w, region.h),
        Rect(region.x, region.y, region.w, inset.y - region.y),
        Rect(region.x, inset.y + inset.h, region.w, bottom - inset.y - inset.h),
    )
    holding = [part for part in parts if all(_holds(part, face) for face in faces)]
    return max(holding, key=lambda part: part.w * part.h, default=region)


def _holds_sides(inset: Rect, face: Rect) -> bool:
    return holds_centre(inset, face) and inset.x <= face.x and face.x + face.w <= inset.x + inset.w


def _overlap(a: Rect, b: Rect) -> bool:
    return a.x < b.x + b.w and b.x < a.x + a.w and a.y < b.y + b.h and b.y < a.y + a.h


def _holds(part: Rect, face: Rect) -> bool:
    across = part.x <= face.x - _HEAD * face.w and face.x + (1 + _HEAD) * face.w <= part.x + part.w
    return across and part.y <= face.y and face.y + face.h <= part.y + part.h


class _Borders:
    """Where borders are seen, in pixels of the samples."""

    def __init__(self, vertical: Floats, horizontal: Floats) -> None:
        self._x, self._y = (tolerant(votes) > _STEADY for votes in (vertical, horizontal))
        self._width, self._height = vertical.shape[1], horizontal.shape[1]

    def outside(self, inset: Rect) -> Rect:
        """Return an inset with its borders."""
        x, y = 2 * BORDER_INSET / self._width, 2 * BORDER_INSET / self._height
        return Rect(inset.x - x, inset.y - y, inset.w + 2 * x, inset.h + 2 * y)

    def insets(self, face: Rect) -> Iterator[Rect]:
        """Yield the rectangles around a face that have a border on each side, the surest first."""
        left, right = face.x * self._width, (face.x + face.w) * self._width
        top, bottom = face.y * self._height, (face.y + face.h) * self._height
        across, down = right - left, bottom - top
        face_x = left / self._width, right / self._width
        rows = self._seen(self._y, face_x, outward=True)
        tops = _where(rows, top - _HIGH * down, top + _CROP * down)
        bottoms = _where(rows, bottom - _CROP * down, bottom + _HIGH * down)
        found = []
        for first, last in product(tops, bottoms):
            columns = self._seen(self._x, (first / self._height, last / self._height))
            lefts = _where(columns, left - _WIDE * across, left)
            rights = _where(columns, right, right + _WIDE * across)
            found += [self._rect(a, first, b, last) for a, b in product(lefts, rights)]
        scored = [(min(sides), self._quality(rect, sides), rect) for rect in found for sides in [self.sides(rect)]]
        sure = [(quality, rect) for least, quality, rect in scored if least >= _SIDE and quality >= _QUALITY]
        return (rect for _, rect in sorted(sure, key=lambda s: (-s[0], -s[1].w * s[1].h, s[1].x, s[1].y)))

    def _quality(self, rect: Rect, sides: Sequence[float]) -> float:
        """Return how sure the four borders are: edges of a room do not end at each other."""
        beyond = 0.0
        for votes, start, length, ends in (
            (
                self._x,
                rect.y,
                rect.h,
                (rect.x * self._width - BORDER_INSET, (rect.x + rect.w) * self._width + BORDER_INSET),
            ),
            (
                self._y,
                rect.x,
                rect.w,
                (rect.y * self._height - BORDER_INSET, (rect.y + rect.h) * self._height + BORDER_INSET),
            ),
        ):
            outside = int(np.floor(start * len(votes))) - 1, int(np.ceil((start + length) * len(votes)))
            for strip, end in product(outside, ends):
                at = round(end)
                beyond += 0 <= strip < len(votes) and bool(votes[strip, max(at - 1, 0) : at + 2].any())
        return sum(sides) - _BEYOND * beyond

    def sides(self, rect: Rect) -> list[float]:
        """Return for the sides of a rectangle inside the frame on which part of its strips a border is seen."""
        columns = self._seen(self._x, (rect.y, rect.y + rect.h))
        rows = self._seen(self._y, (rect.x, rect.x + rect.w))
        left, right = rect.x * self._width - BORDER_INSET, (rect.x + rect.w) * self._width + BORDER_INSET
        top, bottom = rect.y * self._height - BORDER_INSET, (rect.y + rect.h) * self._height + BORDER_INSET
        ends = [(columns, round(left)), (columns, round(right)), (rows, round(top)), (rows, round(bottom))]
        return [float(seen[max(at - 1, 0) : at + 2].max(initial=0.0)) for seen, at in ends]

    def _rect(self, left: int, top: int, right: int, bottom: int) -> Rect:
        """Return the rectangle within these borders."""
        x, y = (left + BORDER_INSET) / self._width, (top + BORDER_INSET) / self._height
        w, h = (right - left - 2 * BORDER_INSET) / self._width, (bottom - top - 2 * BORDER_INSET) / self._height
        return Rect(x, y, w, h)

    def _seen(self, votes: NDArray[np.bool_], span: tuple[float, float], *, outward: bool = False) -> Floats:
        """Return for each position on which part of the strips within a span a border is seen; 0 where they are few.

        Args:
            span: start and end on the other axis, in parts of the frame.
            outward: take also the strips that are partly within the span, however few.
        """
        start, end = span[0] * len(votes), span[1] * len(votes)
        first, last = (int(start), int(np.ceil(end))) if outward else (int(np.ceil(start)), int(end))
        first, last = max(first, 0), min(last, len(votes))
        if last - first < (1 if outward else _STRIPS_LEAST):
            return np.zeros(votes.shape[1], np.float32)
        return np.asarray(votes[first:last].mean(axis=0, dtype=np.float32))


def _where(seen: Floats, first: float, last: float) -> list[int]:
    """Return the positions from ``first`` to ``last`` with a border; of neighbours, the one in the middle."""
    low, high = max(int(first), 1), min(int(np.ceil(last)), len(seen) - 1)
    at = np.flatnonzero(seen[low : max(high, low)] >= _SIDE) + low
    runs = np.split(at, np.flatnonzero(np.diff(at) > 1) + 1) if len(at) else []
    return [int(run[len(run) // 2]) for run in runs]
