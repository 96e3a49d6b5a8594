"""Division of a frame into panels along borders that run all the way through."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from engines.frames import Rect

Floats: TypeAlias = NDArray[np.float32]
Bools: TypeAlias = NDArray[np.bool_]
Rules: TypeAlias = Sequence[tuple[float, float]]

CERTAIN = 0.25  # mean vote from which a strip counts
# Which borders count: least part of a region's extent on which they are seen, most of the strips with detail without.
_USUAL = ((0.8, 0.12),)
_ON_PLAIN = ((0.5, 0.0), *_USUAL)  # beside panels on a plain background; then each panel must have its borders
_WITHOUT_GAPS = ((1.0, 0.0),)
_GAPS_MOST_KNOWN = 0.2  # of the strips, those that contradict a known border
_STRIPS_LEAST = 4  # a smaller part of the frame is not divided
_EDGE = 3  # pixels: borders nearer to the edge of a region are part of it
_PLAIN_MOST = 0.1  # mean part of the strips with detail, up to which a region is plain
_OFF_MIDDLE = 0.3  # the most of its score (0 to 2) that a border loses for being nearer to one of two faces
_GUTTER_MOST, _GUTTER = 10, 0.15  # pixels; what its borders gain
_BESIDE = 6  # pixels beside a border that show detail because of it
BORDER_INSET = 2  # pixels between a border and the panel
_DIVISIONS = 12  # depth of the division
_HEAD_BESIDE, _CUT_OFF = 0.2, 0.35  # of a face's size: no border is so near beside it; a panel may cut off top and chin
_PANEL_LEAST = 0.08  # of the frame's extent; smaller parts are gutters and bars


@dataclass(frozen=True, slots=True)
class _Span:
    """A range of pixels; ``low`` and ``high`` say whether its ends are borders, not edges of the frame."""

    start: int
    stop: int
    low: bool = False
    high: bool = False

    def divided(self, position: int) -> tuple[_Span, _Span]:
        return replace(self, stop=position, high=True), replace(self, start=position, low=True)

    def inner(self, extent: int) -> tuple[float, float]:
        """Return start and length without the borders, in parts of the frame's extent."""
        start = self.start + 1 + BORDER_INSET if self.low else self.start
        stop = self.stop - BORDER_INSET if self.high else self.stop
        return start / extent, max(stop - start, 0) / extent


class _Axis:
    """Borders across one axis of the frame, and the extents of the faces on it."""

    def __init__(
        self,
        votes: Floats,
        faces: Sequence[tuple[float, float]],
        known: Sequence[tuple[float, float]],
        around: tuple[float, float],
    ) -> None:
        """Measure the votes.

        Args:
            votes: mean votes, shape (strips, extent).
            faces: start and length of each face in parts of the frame's extent.
            known: the same of the panels that were known before.
            around: how far before and after a face there are no borders, in parts of its length.
        """
        self.extent = int(votes.shape[1])
        votes = tolerant(votes)
        is_gap = votes < -CERTAIN
        self._strips = len(votes)
        self._seen, self._gaps = _counts(votes > CERTAIN), _counts(is_gap)
        self._wide_gaps = _counts(is_gap[1:] & is_gap[:-1])
        self._faces = [(start * self.extent, (start + length) * self.extent) for start, length in faces]
        self._around = around
        self._known = np.zeros(self.extent, bool)
        for start, length in known:
            low, high = (
                round(start * self.extent) - 1 - BORDER_INSET,
                round((start + length) * self.extent) + BORDER_INSET,
            )
            for position in (p for p in (low, high) if 0 < p < self.extent):
                self._known[position - 1 : position + 2] = True

    def scores(self, start: int, stop: int, across: tuple[float, float], rules: Rules) -> Floats:
        """Return a score for each position from ``start`` to ``stop``, 0 where there is no border.

        Args:
            across: where the region begins and ends on the other axis, in parts of the frame's extent.
        """
        first, last = (round(end * self._strips) for end in across)
        if stop <= start or last - first < _STRIPS_LEAST:
            return np.zeros(max(stop - start, 1), np.float32)
        seen, gaps = (_share(counts, first, last, start, stop) for counts in (self._seen, self._gaps))
        wide_gaps = self._wide_gaps[last - 1, start:stop] - self._wide_gaps[first, start:stop]
        interrupted = wide_gaps > 0  # as by something in front of an edge of the room
        counts = self._known[start:stop] & (gaps <= _GAPS_MOST_KNOWN)
        for length, without in rules:
            counts |= (seen >= length) & (gaps <= without * (seen + gaps)) & ~interrupted
        return np.where(counts, 1.0 + seen - gaps, 0.0).astype(np.float32)

    def best(self, span: _Span, across: tuple[float, float], faces: Sequence[int], rules: Rules) -> tuple[float, int]:
        """Return score and position of the best border of a region, score 0 where there is none."""
        start = span.start + _EDGE
        score = self.scores(start, span.stop - _EDGE, across, rules)
        if not score.any():
            return 0.0, start
        at = np.arange(start, start + len(score))
        middles = sorted((low + high) / 2 for low, high in (self._faces[face] for face in faces))
        score = np.where(score > 0, score + _of_gutters(score) - _off_middle(at, middles), 0.0)
        gapless = self.scores(start, span.stop - _EDGE, across, _WITHOUT_GAPS) > 0
        score[~self._divides(span, at, across, middles, gapless)] = 0.0
        for face in faces:
            low, high = self._faces[face]
            low, high = low - self._around[0] * (high - low), high + self._around[1] * (high - low)
            score[max(int(low) - start, 0) : max(int(np.ceil(high)) + 1 - start, 0)] = 0.0
        position = int(np.argmax(score))
        return float(score[position]), start + position

    def _divides(
        self, span: _Span, at: NDArray[np.intp], across: tuple[float, float], middles: Sequence[float], gapless: Bools
    ) -> Bools:
        """Return at which positions a border may divide a region: both parts have a face or are plain.

        A part with detail and nobody in it may belong to a room with a straight edge. It counts if the border has no
        gap, and either goes through the whole frame or only cuts off a gutter.

        Args:
            middles: of the faces in the region.
            gapless: positions with a border without a gap.
        """
        first, last = (round(end * self._strips) for end in across)
        detail = _share(self._seen + self._gaps, first, last, span.start, span.stop)
        total = np.concatenate([[0.0], np.cumsum(detail)])

        def has_detail(begin: NDArray[np.intp], end: NDArray[np.intp]) -> tuple[Bools, Bools]:
            """Return whether parts have detail, and whether they are too narrow to tell."""
            begin, end = begin + _BESIDE - span.start, end - _BESIDE - span.start
            known = end > begin
            begin, end = np.where(known, begin, 0), np.where(known, end, 0)
            return total[end] - total[begin] > _PLAIN_MOST * (end - begin), ~known

        low, low_narrow = has_detail(np.full_like(at, span.start), at)
        high, high_narrow = has_detail(at, np.full_like(at, span.stop))
        low_empty, high_empty = at <= min(middles), at > max(middles)
        room = (low_empty & low) | (high_empty & high)
        gutter = (low_empty & low_narrow) | (high_empty & high_narrow)
        return np.where(room, gapless & (across == (0.0, 1.0)), ~gutter | gapless)

    def is_bordered(self, span: _Span, across: tuple[float, float]) -> bool:
        """Return whether the borders of a panel are seen on all of their length."""
        ends = [end for end, is_border in ((span.start, span.low), (span.stop, span.high)) if is_border]
        return all(self.scores(end, end + 1, across, _USUAL)[0] > 0 for end in ends)

    def part(self, span: _Span) -> tuple[float, float]:
        """Return where a span begins and ends in parts of the frame's extent."""
        return span.start / self.extent, span.stop / self.extent

    def has(self, span: _Span, face: int) -> bool:
        low, high = self._faces[face]
        return span.start <= (low + high) / 2 < span.stop


def find_panels(
    vertical: Floats,
    horizontal: Floats,
    faces: Sequence[Rect],
    known: Sequence[Rect] = (),
    *,
    without_gaps: bool = False,
) -> tuple[Rect, ...]:
    """Return the panels that hold faces, in parts of the frame's width and height; none where it is undivided.

    A border that crosses a head is ignored; the top of a face may be cut off by the panel.

    Args:
        vertical: mean votes for vertical borders, -1 to 1, shape (strips, W).
        horizontal: the same for horizontal borders, shape (strips, H).
        faces: in parts of the frame's width and height.
        known: panels that were there before; their borders count unless detail contradicts them.
        without_gaps: other borders count only where they are seen on all of their length.
    """
    x = _Axis(vertical, [(f.x, f.w) for f in faces], [(p.x, p.w) for p in known], (_HEAD_BESIDE, _HEAD_BESIDE))
    y = _Axis(horizontal, [(f.y, f.h) for f in faces], [(p.y, p.h) for p in known], (-_CUT_OFF, -_CUT_OFF))
    frame = _Span(0, x.extent), _Span(0, y.extent)
    for rules in (_WITHOUT_GAPS,) if without_gaps else (_ON_PLAIN, _USUAL):
        leaves = [leaf for leaf in _divided(x, y, *frame, range(len(faces)), _DIVISIONS, rules) if leaf != frame]
        if all(x.is_bordered(across, y.part(down)) and y.is_bordered(down, x.part(across)) for across, down in leaves):
            break
    rects = ((*across.inner(x.extent), *down.inner(y.extent)) for across, down in leaves)
    return tuple(Rect(left, top, w, h) for left, w, top, h in rects if min(w, h) >= _PANEL_LEAST)


def _divided(
    x: _Axis, y: _Axis, across: _Span, down: _Span, faces: Sequence[int], divisions: int, rules: Rules
) -> Iterator[tuple[_Span, _Span]]:
    """Divide a region along its best border, and its parts likewise; yield the parts with faces."""
    faces = [face for face in faces if x.has(across, face) and y.has(down, face)]
    if not faces:
        return
    x_score, x_at = x.best(across, y.part(down), faces, rules)
    y_score, y_at = y.best(down, x.part(across), faces, rules)
    if divisions == 0 or max(x_score, y_score) == 0:
        yield across, down
    elif x_score >= y_score:
        for part in across.divided(x_at):
            yield from _divided(x, y, part, down, faces, divisions - 1, rules)
    else:
        for part in down.divided(y_at):
            yield from _divided(x, y, across, part, faces, divisions - 1, rules)


def _counts(marks: Bools) -> NDArray[np.intp]:
    """Return how many strips before each one are marked, and how many of all, shape (strips + 1, extent)."""
    counts = np.zeros((len(marks) + 1, marks.shape[1]), np.intp)
    np.cumsum(marks, axis=0, out=counts[1:])
    return counts


def _share(counts: NDArray[np.intp], first: int, last: int, start: int, stop: int) -> NDArray[np.float64]:
    """Return which share of the strips from ``first`` to ``last`` is marked at each position."""
    return (counts[last, start:stop] - counts[first, start:stop]) / (last - first)


def _of_gutters(score: Floats) -> Floats:
    """Return what positions gain that have a border as good a little further on: it is the other side of a gutter."""
    other = np.zeros_like(score)
    for distance in range(_EDGE, min(_GUTTER_MOST, len(score) - 1) + 1):
        other[distance:] = np.maximum(other[distance:], score[:-distance])
        other[:-distance] = np.maximum(other[:-distance], score[distance:])
    return np.where(other >= score, _GUTTER, 0.0).astype(np.float32)


def _off_middle(at: NDArray[np.intp], middles: Sequence[float]) -> Floats:
    """Return the loss of score of positions between two faces: people are near the middle of their panels."""
    loss = np.zeros(len(at), np.float32)
    for a, b in pairwise(middles):
        between = (at > a) & (at < b)
        loss[between] = _OFF_MIDDLE * np.abs(2 * at[between] - a - b) / (b - a)
    return loss


def tolerant(votes: Floats) -> Floats:
    """Let a border be a pixel off in some strips."""
    padded = np.pad(votes, ((0, 0), (1, 1)), mode="edge")
    beside = np.maximum(padded[:, :-2], padded[:, 2:])
    return np.where((beside > CERTAIN) & (votes <= CERTAIN), beside, votes)


def holds_centre(panel: Rect, face: Rect) -> bool:
    """Return whether a panel holds the centre of a face."""
    return panel.x <= face.cx < panel.x + panel.w and panel.y <= face.cy < panel.y + panel.h
