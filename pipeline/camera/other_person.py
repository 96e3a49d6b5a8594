"""What the camera of one tile remembers of the person in the other tile."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from engines.frames import Rect
from pipeline.camera.bands import Array
from pipeline.camera.framings import Framings
from pipeline.camera.tile_view import View, rect_state
from pipeline.camera.visibility import contains_centre

_MEMORY_S = 2.0  # validity of a position
_UNKNOWN_SHARES = (math.nan, math.nan)


class OtherPerson:
    """The last position of the other person, and how large their face can be in its tile."""

    def __init__(self, framings: Framings) -> None:
        self._framings = framings
        self._last: tuple[Rect, float] | None = None  # box, and seconds on the camera's clock
        self._shares: tuple[float, float] = _UNKNOWN_SHARES  # smallest and largest share of their tile

    @property
    def box(self) -> Rect | None:
        """Where they were last seen in this shot."""
        return self._last[0] if self._last else None

    def note(self, view: View, i: int) -> None:
        """Take frame ``i``, the next one."""
        box = view.others[i]
        if box is not None:
            self._last = (box, view.seconds[i])
            self._shares = self._shares_in(view, i) or self._shares

    def likely_share(self, usual: float) -> float | None:
        """Return which share of their tile's height their face has, if ``usual`` is the wanted one; None: unknown."""
        least, most = self._shares
        return None if math.isnan(least) else min(max(usual, least), most)

    def begin_shot(self) -> None:
        """Forget the position, which another shot does not share."""
        self._last = None

    def intrudes(self, time: float, crop: Rect, margin: float) -> bool:
        """Return whether they were seen in a crop, or less than ``margin`` crop widths away, a short time ago."""
        if self._last is None or time - self._last[1] > _MEMORY_S:
            return False
        return contains_centre(crop, self._last[0], margin)

    def recent_boxes(self, view: View, start: int, stop: int) -> list[Rect | None]:
        """Return their boxes where they are in the same panel; who is out of sight stays for a while."""
        neighbours = view.neighbours(start, stop)
        last = self._last
        for n, box in enumerate(neighbours):
            time = view.seconds[start + n]
            if box is not None:
                last = box, time
            elif last is not None and time - last[1] <= _MEMORY_S and not view.scenes[start + n].panels:
                neighbours[n] = last[0]
        return neighbours

    def shares(self, view: View, start: int, stop: int) -> Array:
        """Return the smallest and largest share of its tile that their face can have, shape (N, 2)."""
        shares, last = [], self._shares
        for i in range(start, stop):
            last = self._shares_in(view, i) or last
            shares.append(last)
        return np.array(shares).reshape(-1, 2)

    def _shares_in(self, view: View, i: int) -> tuple[float, float] | None:
        other = view.others[i]
        if other is None:
            return None
        framing, _ = self._framings.of(view.scenes[i].frame, view.other_panels[i])
        return framing.shares(other.h)

    def state(self) -> list[Any]:
        shares = None if math.isnan(self._shares[0]) else list(self._shares)
        return [[rect_state(self._last[0]), self._last[1]] if self._last else None, shares]

    def restore(self, state: list[Any]) -> None:
        last, shares = state
        self._last = (Rect(*last[0]), last[1]) if last else None
        self._shares = (shares[0], shares[1]) if shares else _UNKNOWN_SHARES
