"""What stands in for pictures that cannot be decoded, by how long the damage lasts.

A short gap repeats the last good picture, which hardly anybody notices. In a longer one that moves over to the next
good picture instead of jumping. A very long one turns black after a moment: a still would claim that nothing happened.
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
from engines.media.timeline import Slot

REPEAT_S = Fraction(1, 4)  # a gap up to here repeats; of a very long one, this much
BLEND_S = Fraction(2)  # a gap up to here is interpolated
_BLACK, _GREY = 16, 128  # limited range, 8 bits

Filled = tuple[Slot[Upright], bool]


@dataclass(slots=True)
class StandIns:
    """Fills the lost places of one stream. Depends on the good pictures around a gap alone.

    Attributes:
        convert: makes planes of a decoded picture.
        blend: makes a picture between two, given the weight of the second.
        black: makes a black one of the size of a given one.
    """

    time_base: Fraction
    convert: Callable[[Any], Upright]
    blend: Callable[[Upright, Upright, float], Upright]
    black: Callable[[Upright], Upright]
    _before: Slot[Upright] | None = None  # the last good one
    _gap: list[Slot[Any]] = field(default_factory=list)  # what is lost since, while it is not given up
    _dark: Upright | None = None  # what is shown since it is

    @property
    def found_any(self) -> bool:
        """Whether there was one good picture so far."""
        return self._before is not None

    def fill(self, slots: Iterable[Slot[Any]]) -> Iterator[Filled]:
        """All slots with pictures; the flag says which stand in for others.

        A stream without one good picture yields nothing.
        """
        for slot in slots:
            if slot.picture is None:
                yield from self._lost(slot)
            else:
                good = Slot(slot.pts, slot.duration, self.convert(slot.picture))
                yield from self._end_gap(good)
                yield good, False
        if self._before is not None:
            yield from self._repeated(self._before)

    def _lost(self, slot: Slot[Any]) -> Iterator[Filled]:
        if self._dark is not None:
            yield _with(slot, self._dark)
            return
        self._gap.append(slot)
        if self._before is not None and self._lasts_s(slot.pts) > BLEND_S:
            yield from self._give_up(self._before)

    def _give_up(self, before: Slot[Upright]) -> Iterator[Filled]:
        """The gap is a very long one."""
        assert before.picture is not None
        self._dark = self.black(before.picture)
        for slot in self._gap:
            yield _with(slot, before.picture if self._lasts_s(slot.pts) < REPEAT_S else self._dark)
        self._gap = []

    def _end_gap(self, good: Slot[Upright]) -> Iterator[Filled]:
        if self._gap:
            yield from self._bridged(self._before, good)
        self._before, self._dark = good, None

    def _bridged(self, before: Slot[Upright] | None, after: Slot[Upright]) -> Iterator[Filled]:
        assert after.picture is not None
        lasts_s = self._lasts_s(after.pts)
        if before is not None and lasts_s > REPEAT_S:
            yield from self._blended(before, after)
        elif before is None and lasts_s > BLEND_S:
            yield from self._repeated(Slot(after.pts, after.duration, self.black(after.picture)))
        else:
            yield from self._repeated(before or after)

    def _blended(self, before: Slot[Upright], after: Slot[Upright]) -> Iterator[Filled]:
        assert before.picture is not None and after.picture is not None
        for slot in self._gap:
            weight = (slot.pts - before.pts) / (after.pts - before.pts)
            yield _with(slot, self.blend(before.picture, after.picture, weight))
        self._gap = []

    def _repeated(self, good: Slot[Upright]) -> Iterator[Filled]:
        for slot in self._gap:
            yield _with(slot, good.picture)
        self._gap = []

    def _lasts_s(self, end_pts: int) -> Fraction:
        """How long the gap lasts, if it ends there."""
        return (end_pts - self._gap[0].pts) * self.time_base


def _with(slot: Slot[Any], picture: Upright | None) -> Filled:
    return Slot(slot.pts, slot.duration, picture), True


def blended(before: Upright, after: Upright, weight: float) -> Upright:
    """Two pictures, mixed; ``weight`` is that of the second. Of two sizes the first alone: there is no way between."""
    if before.y.shape != after.y.shape or before.display != after.display:
        return before
    y, uv = (cv2.addWeighted(a, 1 - weight, b, weight, 0) for a, b in zip(before[:2], after[:2], strict=True))
    return Upright(_plane(y), _plane(uv), before.display)


def _plane(array: Any) -> Plane:
    return cast("Plane", array)


def black(like: Upright) -> Upright:
    """A black picture of the size of another."""
    step = 1 << (8 * like.y.itemsize - 8)
    y, uv = np.full(like.y.shape, _BLACK * step, like.y.dtype), np.full(like.uv.shape, _GREY * step, like.uv.dtype)
    return Upright(y, uv, like.display)
