"""When the face detector runs: less often while nobody is about to meet anybody."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from engines.frames import Rect
from pipeline.people import Face
from pipeline.settings import DetectSettings

LOOK_AHEAD_S = 0.5  # faces are expected to go on moving as they do for this long
MIN_GAP = 1.0  # in widths of the wider face: with a smaller gap two faces count as meeting
CALM_AFTER_S = 1.0
_SLACK = 0.25  # of a frame: tolerates rounding of timestamps


class DetectionSchedule:
    """Decides when the detector runs next.

    The usual rate is ``rate_hz`` per second of video. The rate is ``calm_rate_hz`` while, for a second or longer, no
    face has appeared or disappeared, and none could meet another or leave the frame within half a second. People who
    sit and gesture therefore cost fewer detections; people who pass each other do not.

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
        """Return for each of the next frames whether the detector runs on it: also on the first one of every shot."""
        last, due = self._last_t, []
        for t, cut in zip(times, cuts, strict=True):
            due.append(cut or last is None or self._turn(t) > self._turn(last))
            last = t if due[-1] else last
        return due

    def may_be_due(self, times: Sequence[float]) -> list[bool]:
        """Return for each of some consecutive frames whether ``due`` may name it, whatever was found before.

        Cuts aside, these are the first frame of each interval, and of the batch: a calm stretch may end before it.
        """
        turns = [math.floor((t * self._fps + _SLACK) / self._every[0]) for t in times]
        return [n == 0 or turn != turns[n - 1] for n, turn in enumerate(turns)]

    def note(self, t: float, faces: Sequence[Face]) -> None:
        """Record the faces that the detector found at ``t``, in seconds."""
        boxes = [face.box for face in faces]
        self._calm_since = min(self._calm_since, t) if self._is_calm(t, boxes) else math.inf
        self._last_t, self._boxes = t, boxes

    def _is_calm(self, t: float, boxes: Sequence[Rect]) -> bool:
        """Return whether the faces are those of the last run, and stay apart and in the frame for a while."""
        if self._last_t is None or len(boxes) != len(self._boxes):
            return False
        reach = [LOOK_AHEAD_S * _displacement(self._boxes, box) / (t - self._last_t) for box in boxes]
        stay = all(min(box.x, self._width - box.x - box.w) >= far for box, far in zip(boxes, reach, strict=True))
        return stay and all(
            _gap(a, b) - reach[n] - reach[m] >= MIN_GAP * max(a.w, b.w)
            for n, a in enumerate(boxes)
            for m, b in enumerate(boxes[:n])
        )

    def _turn(self, t: float) -> int:
        """Return the number of the detection interval that a time belongs to.

        The intervals of calm stretches are unions of the usual ones, so the schedule after a calm stretch does not
        depend on when exactly the stretch began.
        """
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


def _displacement(before: Sequence[Rect], box: Rect) -> float:
    """Return how far a face moved or grew horizontally, in pixels, against the nearest face of the last run."""
    old = min(before, key=lambda old: math.hypot(old.cx - box.cx, old.cy - box.cy))
    return max(abs(old.cx - box.cx), abs(old.w - box.w))


def _gap(a: Rect, b: Rect) -> float:
    """Return the horizontal gap between two faces, in pixels."""
    return abs(a.cx - b.cx) - (a.w + b.w) / 2
