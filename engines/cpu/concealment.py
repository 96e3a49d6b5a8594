"""Replace frames that cannot be decoded, depending on how long the gap lasts.

A short gap repeats the last good frame. A longer one blends into the next good frame, so that nothing jumps. A very
long one turns black after a moment, because a still frame would look like an undamaged recording.
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
    """Fills the lost slots of one stream. The result depends only on the good frames around a gap.

    Attributes:
        convert: converts a decoded frame to planes.
        blend: mixes two frames, given the weight of the second, 0 to 1.
        black: returns a black frame of the size of a given one.
    """

    time_base: Fraction
    convert: Callable[[Any], Upright]
    blend: Callable[[Upright, Upright, float], Upright]
    black: Callable[[Upright], Upright]
    _before: Slot[Upright] | None = None  # the last good slot
    _gap: list[Slot[Any]] = field(default_factory=list)  # lost slots since then, until the gap is a very long one
    _black_frame: Upright | None = None  # what is shown in a very long gap

    @property
    def found_any(self) -> bool:
        """Whether there was at least one good frame."""
        return self._before is not None

    def fill(self, slots: Iterable[Slot[Any]]) -> Iterator[Filled]:
        """Yield all slots with frames; the flag says which frames are replacements.

        A stream without any good frame yields nothing.
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
            yield from self._fill_long_gap(self._before)

    def _fill_long_gap(self, before: Slot[Upright]) -> Iterator[Filled]:
        """Fill a very long gap."""
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
        """Return how long the gap lasts if it ends at ``end_pts``."""
        return (end_pts - self._gap[0].pts) * self.time_base


def _with(slot: Slot[Any], frame: Upright | None) -> Filled:
    return Slot(slot.pts, slot.duration, frame), True


def blended(before: Upright, after: Upright, weight: float) -> Upright:
    """Mix two frames by the weight of the second, 0 to 1; return the first if their sizes differ."""
    if before.y.shape != after.y.shape or before.display != after.display:
        return before
    y, uv = (cv2.addWeighted(a, 1 - weight, b, weight, 0) for a, b in zip(before[:2], after[:2], strict=True))
    return Upright(_plane(y), _plane(uv), before.display)


def _plane(array: Any) -> Plane:
    return cast("Plane", array)


def black(like: Upright) -> Upright:
    """Return a black frame of the size of another."""
    step = 1 << (8 * like.y.itemsize - 8)
    y, uv = np.full(like.y.shape, _BLACK * step, like.y.dtype), np.full(like.uv.shape, _GREY * step, like.uv.dtype)
    return Upright(y, uv, like.display)
