"""How often the detector runs: less often while everybody keeps still."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from engines.frames import Rect
from pipeline.people import Face
from pipeline.settings import DetectSettings

STILL = 0.06       # of a face's width: how far it moves or grows between two runs at the most
APART = 1.0        # of the wider face's width: the least room between two still faces
CALM_AFTER_S = 1.0


class DetectorPace:
    """Decides when the detector runs next.

    Ordinarily that is ``rate_hz`` times per second of video. Where all faces have kept still and apart for a second,
    it is ``calm_rate_hz``, until one moves, comes, goes or gets near another.
    """

    def __init__(self, settings: DetectSettings, fps: Fraction) -> None:
        self._rates_hz = settings.rate_hz, min(settings.rate_hz, settings.calm_rate_hz)
        self._slack_s = 0.25 / float(fps)       # a quarter of a picture, so that rounding never skips one
        self._last_t: float | None = None
        self._still_since = math.inf            # no still stretch has begun
        self._boxes: list[Rect] = []

    def due(self, times: Sequence[float], cuts: Sequence[bool]) -> list[bool]:
        """Which of the next pictures the detector sees: one every so often, and the first of every shot."""
        interval_s, last, due = self._interval_s(), self._last_t, []
        for t, cut in zip(times, cuts, strict=True):
            due.append(cut or last is None or t - last >= interval_s)
            last = t if due[-1] else last
        return due

    def note(self, t: float, faces: Sequence[Face]) -> None:
        """Take what the detector saw at ``t``, in seconds."""
        boxes = [face.box for face in faces]
        self._still_since = min(self._still_since, t) if _kept_still(self._boxes, boxes) else math.inf
        self._last_t, self._boxes = t, boxes

    def _interval_s(self) -> float:
        calm = self._last_t is not None and self._last_t - self._still_since >= CALM_AFTER_S
        return 1.0 / self._rates_hz[calm] - self._slack_s

    def state(self) -> dict[str, Any]:
        boxes = [[box.x, box.y, box.w, box.h] for box in self._boxes]
        still_since = None if math.isinf(self._still_since) else self._still_since
        return {"last_t": self._last_t, "still_since": still_since, "boxes": boxes}

    def restore(self, state: dict[str, Any]) -> None:
        self._last_t = state["last_t"]
        self._still_since = math.inf if state["still_since"] is None else state["still_since"]
        self._boxes = [Rect(*box) for box in state["boxes"]]


def _kept_still(before: Sequence[Rect], after: Sequence[Rect]) -> bool:
    """Whether each face stands where it stood, and none near another."""
    if len(before) != len(after):
        return False
    same = all(any(_at_rest(old, new) for old in before) for new in after)
    return same and all(_apart(a, b) for n, a in enumerate(after) for b in after[:n])


def _at_rest(old: Rect, new: Rect) -> bool:
    far = STILL * new.w
    return max(abs(old.cx - new.cx), abs(old.cy - new.cy), abs(old.w - new.w)) <= far


def _apart(a: Rect, b: Rect) -> bool:
    return abs(a.cx - b.cx) - (a.w + b.w) / 2 >= APART * max(a.w, b.w)
