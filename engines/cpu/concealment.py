"""What stands in for frames that cannot be decoded, by how long the damage lasts.

A short gap repeats the last good frame, which hardly anybody notices. In a longer one that moves over to the next
good frame instead of jumping. A very long one turns black after a moment: a still would claim that nothing happened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, cast

import cv2
import numpy as np

from engines.cpu.filters import Upright
from engines.frames import Plane
from engines.video.timeline import Slot

REPEAT_S = Fraction(1, 4)  # a gap up to here repeats; of a very long one, this much
BLEND_S = Fraction(2)  # a gap up to here is interpolated
_BLACK, _GREY = 16, 128  # limited range, 8 bits

Filled = tuple[Slot[Upright], bool]


@dataclass(slots=True)
class Concealer:
    """Fills the lost places of one stream. Depends on the good frames around a gap alone.

    Attributes:
        convert: makes planes of a decoded frame.
        blend: makes a frame between two, given the weight of the second.
        black: makes a black one of the size of a given one.
    """

    time_base: Fraction
    convert: Callable[[Any], Upright]
    blend: Callable[[Upright, Upright, float], Upright]
    black: Callable[[Upright], Upright]
    _before: Slot[Upright] | None = None  # the last good one
    _gap: list[Slot[Any]] = field(default_factory=list)  # what is lost since, while it is not given up
    _black_frame: Upright | None = None  # what is shown since it is

    @property
    def found_any(self) -> bool:
        """Whether there was one good frame so far."""
        return self._before is not None

    def fill(self, slots: Iterable[Slot[Any]]) -> Iterator[Filled]:
        """All slots with frames; the flag says which stand in for others.

        A stream without one good frame yields nothing.
        """
        for slot in slots:
            if slot.frame is None:
                yield from self._lost(slot)
            else:
                good = Slot(slot.pts, slot.duration, self.convert(slot.frame))
                yield from self._end_gap(good)
                yield good, False
        if self._before is not None:
            yield from self._repeated(self._before)

    def _lost(self, slot: Slot[Any]) -> Iterator[Filled]:
        if self._black_frame is not None:
            yield _with(slot, self._black_frame)
            return
        self._gap.append(slot)
        if self._before is not None and self._lasts_s(slot.pts) > BLEND_S:
            yield from self._give_up(self._before)

    def _give_up(self, before: Slot[Upright]) -> Iterator[Filled]:
        """The gap is a very long one."""
        assert before.frame is not None
        self._black_frame = self.black(before.frame)
        for slot in self._gap:
            yield _with(slot, before.frame if self._lasts_s(slot.pts) < REPEAT_S else self._black_frame)
        self._gap = []

    def _end_gap(self, good: Slot[Upright]) -> Iterator[Filled]:
        if self._gap:
            yield from self._bridged(self._before, good)
        self._before, self._black_frame = good, None

    def _bridged(self, before: Slot[Upright] | None, after: Slot[Upright]) -> Iterator[Filled]:
        assert after.frame is not None
        lasts_s = self._lasts_s(after.pts)
        if before is not None and lasts_s > REPEAT_S:
            yield from self._blended(before, after)
        elif before is None and lasts_s > BLEND_S:
            yield from self._repeated(Slot(after.pts, after.duration, self.black(after.frame)))
        else:
            yield from self._repeated(before or after)

    def _blended(self, before: Slot[Upright], after: Slot[Upright]) -> Iterator[Filled]:
        assert before.frame is not None and after.frame is not None
        for slot in self._gap:
            weight = (slot.pts - before.pts) / (after.pts - before.pts)
            yield _with(slot, self.blend(before.frame, after.frame, weight))
        self._gap = []

    def _repeated(self, good: Slot[Upright]) -> Iterator[Filled]:
        for slot in self._gap:
            yield _with(slot, good.frame)
        self._gap = []

    def _lasts_s(self, end_pts: int) -> Fraction:
        """How long the gap lasts, if it ends there."""
        return (end_pts - self._gap[0].pts) * self.time_base


def _with(slot: Slot[Any], frame: Upright | None) -> Filled:
    return Slot(slot.pts, slot.duration, frame), True


def blended(before: Upright, after: Upright, weight: float) -> Upright:
    """Two frames, mixed; ``weight`` is that of the second. Of two sizes the first alone: there is no way between."""
    if before.y.shape != after.y.shape or before.display != after.display:
        return before
    y, uv = (cv2.addWeighted(a, 1 - weight, b, weight, 0) for a, b in zip(before[:2], after[:2], strict=True))
    return Upright(_plane(y), _plane(uv), before.display)


def _plane(array: Any) -> Plane:
    return cast("Plane", array)


def black(like: Upright) -> Upright:
    """A black frame of the size of another."""
    step = 1 << (8 * like.y.itemsize - 8)
    y, uv = np.full(like.y.shape, _BLACK * step, like.y.dtype), np.full(like.uv.shape, _GREY * step, like.uv.dtype)
    return Upright(y, uv, like.display)
