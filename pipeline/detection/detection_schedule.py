"""How often the detector runs: less often while nobody is about to meet anybody."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from engines.frames import Rect
from pipeline.people import Face
from pipeline.settings import DetectSettings

AHEAD_S = 0.5  # how far ahead faces are reckoned to go on as they move
APART = 1.0  # of the wider face's width: the room between two faces that counts as having met
CALM_AFTER_S = 1.0
_SLACK = 0.25  # of a frame, so that rounding never skips one


class DetectorPace:
    """Decides when the detector runs next.

    Ordinarily that is ``rate_hz`` times per second of video. Where for a second no face has come or gone, and none
    could meet another or leave the frame within half a second, it is ``calm_rate_hz``, until one does or could.
    So people who sit and gesture are looked at less often, and those who pass each other are not.

    Args:
        settings: the two rates.
        fps: mean rate of the frames.
        width: of a frame, in pixels as in ``Face.box``.
    """

    def __init__(self, settings: DetectSettings, fps: Fraction, width: float) -> None:
        every = max(1, math.ceil(float(fps) / settings.rate_hz - _SLACK))
        calm_every = every * max(1, round(settings.rate_hz / settings.calm_rate_hz))
        self._fps, self._every = float(fps), (every, calm_every)
        self._width = width
        self._last_t: float | None = None
        self._calm_since = math.inf  # no calm stretch has begun
        self._boxes: list[Rect] = []

    def due(self, times: Sequence[float], cuts: Sequence[bool]) -> list[bool]:
        """Which of the next frames the detector sees: one every so often, and the first of every shot."""
        last, due = self._last_t, []
        for t, cut in zip(times, cuts, strict=True):
            due.append(cut or last is None or self._turn(t) > self._turn(last))
            last = t if due[-1] else last
        return due

    def note(self, t: float, faces: Sequence[Face]) -> None:
        """Take what the detector saw at ``t``, in seconds."""
        boxes = [face.box for face in faces]
        self._calm_since = min(self._calm_since, t) if self._is_calm(t, boxes) else math.inf
        self._last_t, self._boxes = t, boxes

    def _is_calm(self, t: float, boxes: Sequence[Rect]) -> bool:
        """Whether the faces are those of the last run, and will be for a while."""
        if self._last_t is None or len(boxes) != len(self._boxes):
            return False
        reach = [AHEAD_S * _moved(self._boxes, box) / (t - self._last_t) for box in boxes]
        stay = all(min(box.x, self._width - box.x - box.w) >= far for box, far in zip(boxes, reach, strict=True))
        return stay and all(
            _gap(a, b) - reach[n] - reach[m] >= APART * max(a.w, b.w)
            for n, a in enumerate(boxes)
            for m, b in enumerate(boxes[:n])
        )

    def _turn(self, t: float) -> int:
        """Which of the detector's turns a time belongs to. Turns while calm are some of the others, so that it does
        not matter for what is seen afterwards when exactly a calm stretch began."""
        calm = self._last_t is not None and self._last_t - self._calm_since >= CALM_AFTER_S
        return math.floor((t * self._fps + _SLACK) / self._every[calm])

    def state(self) -> dict[str, Any]:
        boxes = [[box.x, box.y, box.w, box.h] for box in self._boxes]
        calm_since = None if math.isinf(self._calm_since) else self._calm_since
        return {"last_t": self._last_t, "calm_since": calm_since, "boxes": boxes}

    def restore(self, state: dict[str, Any]) -> None:
        self._last_t = state["last_t"]
        self._calm_since = math.inf if state["calm_since"] is None else state["calm_since"]
        self._boxes = [Rect(*box) for box in state["boxes"]]


def _moved(before: Sequence[Rect], box: Rect) -> float:
    """How far a face went or grew sideways, in pixels, since it was the nearest to where it is now."""
    old = min(before, key=lambda old: math.hypot(old.cx - box.cx, old.cy - box.cy))
    return max(abs(old.cx - box.cx), abs(old.w - box.w))


def _gap(a: Rect, b: Rect) -> float:
    """The room between two faces, sideways."""
    return abs(a.cx - b.cx) - (a.w + b.w) / 2
