"""The input of one tile's camera: its person and the other one over consecutive frames."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from engines.frames import Rect
from pipeline.camera.bands import Array
from pipeline.people import Scene, Seen, Side

_UNKNOWN = (np.nan,) * 4
_FAR_JUMP = 2.5  # face heights between two frames: faster than any person moves
_BODY = 2.0  # face heights between the middles of two faces whose bodies may overlap
_GLIMPSE_S = 0.25  # a shorter sight of somebody who is away is no return
_SAME_PANEL = 0.08  # of a panel's width and height: how far its borders may be from those of before
_MEMORY_S = 0.3  # time over which a person's speed is measured


class View:
    """Consecutive frames as one tile sees them; frames are added at the end and dropped at the start.

    Attributes:
        seconds: of each frame, on the camera's clock; ``times`` as an array.
        breaks: whether a path ends at a frame: at a cut, another person, another
            panel, or a jump that is no movement.
    """

    def __init__(self, side: Side) -> None:
        self._is_left = side == "left"
        self.scenes: list[Scene] = []
        self.own: list[Seen | None] = []
        self.faces: list[Rect | None] = []
        self.others: list[Rect | None] = []
        self.panels: list[Rect | None] = []
        self.other_panels: list[Rect | None] = []
        self.breaks: list[bool] = []
        self.seconds: list[float] = []
        self._gaze: list[float] = []

    def __len__(self) -> int:
        return len(self.scenes)

    def append(self, scene: Scene, time: float) -> None:
        """Add the next frame; ``time`` is in seconds on the camera's clock."""
        own, other = (scene.left, scene.right) if self._is_left else (scene.right, scene.left)
        face, neighbour = own.box if own else None, other.box if other else None
        panel = panel_of(face, scene.panels)
        self.breaks.append(scene.cut or self._breaks_off(own, panel))
        self.scenes.append(scene)
        self.own.append(own)
        self.faces.append(face)
        self.others.append(neighbour)
        self.panels.append(panel)
        self.other_panels.append(panel_of(neighbour, scene.panels))
        self.seconds.append(time)
        self._gaze.append(own.gaze if own else 0.0)
        self._forget_arrays()

    def _breaks_off(self, own: Seen | None, panel: Rect | None) -> bool:
        if not self.own:
            return False
        return is_jump(self.own[-1], own) or is_other_panel(self.panels[-1], panel)

    def drop(self, count: int) -> None:
        """Remove the first ``count`` frames; the first one that is left follows none."""
        columns = (self.scenes, self.own, self.faces, self.others, self.panels, self.other_panels)
        for column in (*columns, self.breaks, self.seconds, self._gaze):
            del column[:count]
        if self.breaks:
            self.breaks[0] = self.scenes[0].cut
        self._forget_arrays()

    def _forget_arrays(self) -> None:
        for name in ("times", "gaze"):
            self.__dict__.pop(name, None)

    @cached_property
    def times(self) -> Array:
        """The frames' times, shape (N,), seconds on the camera's clock."""
        return np.array(self.seconds)

    @cached_property
    def gaze(self) -> Array:
        """Where the person looks, shape (N,), -1 to 1."""
        return np.array(self._gaze)

    def next_break(self, after: int) -> int:
        return next((i for i in range(after + 1, len(self)) if self.breaks[i]), len(self))

    def next_face(self, start: int) -> int | None:
        """Return the first frame from ``start`` on that shows the person in the same take."""
        for i in range(start, len(self)):
            if i > start and self.breaks[i]:
                return None
            if self.faces[i] is not None:
                return i
        return None

    def is_glimpse(self, i: int) -> bool:
        """Return whether the person who is seen in frame ``i`` is lost again at once, for as long as is known."""
        lost = next((k for k in range(i, len(self)) if self.faces[k] is None), None)
        if lost is None or self.seconds[lost] - self.seconds[i] > _GLIMPSE_S:
            return False
        return self.next_face(lost) is None

    def neighbours(self, start: int, stop: int) -> list[Rect | None]:
        """Return the other person's boxes where no border is between the two."""
        frames = range(start, stop)
        return [
            self.others[i] if self.panels[i] is None or self.panels[i] == self.other_panels[i] else None for i in frames
        ]


class Trace:
    """The last positions of a person, and whether the other one was close enough to cover them.

    Attributes:
        last_s: time of the last position, seconds on the camera's clock.
        covered: whether the other person was near then.
    """

    def __init__(self) -> None:
        self.last_s = 0.0
        self.covered = False
        self._seen: list[tuple[float, Rect]] = []

    def note(self, time: float, face: Rect, other: Rect | None) -> None:
        self.last_s = time
        self.covered = other is not None and _close(face, other)
        self._seen = [(t, box) for t, box in self._seen if time - t <= _MEMORY_S] + [(time, face)]

    def reset(self, time: float) -> None:
        """Start at this time without a position."""
        self.last_s, self.covered, self._seen = time, False, []

    def extrapolate(self, time: float) -> Rect:
        """Return the position of the person at ``time`` at constant speed."""
        (first_s, first), (last_s, last) = self._seen[0], self._seen[-1]
        share = (time - last_s) / (last_s - first_s) if last_s > first_s else 0.0
        return Rect(last.x + (last.cx - first.cx) * share, last.y + (last.cy - first.cy) * share, last.w, last.h)

    def state(self) -> list[Any]:
        return [self.last_s, self.covered, [[t, rect_state(box)] for t, box in self._seen]]

    @classmethod
    def restored(cls, state: list[Any]) -> Trace:
        trace = cls()
        trace.last_s, trace.covered = state[0], state[1]
        trace._seen = [(t, Rect(*box)) for t, box in state[2]]
        return trace


def panel_of(face: Rect | None, panels: Sequence[Rect]) -> Rect | None:
    """Return the smallest panel that holds the centre of a face."""
    if face is None or not panels:
        return None
    holding = [p for p in panels if p.x <= face.cx <= p.x + p.w and p.y <= face.cy <= p.y + p.h]
    return min(holding, key=lambda p: p.w * p.h, default=None)


def is_other_panel(before: Rect | None, after: Rect | None) -> bool:
    """Return whether a panel has moved or grown, which happens at once."""
    if before is None or after is None:
        return False
    across = max(abs(after.x - before.x), abs(after.x + after.w - before.x - before.w))
    down = max(abs(after.y - before.y), abs(after.y + after.h - before.y - before.h))
    return across > _SAME_PANEL * after.w or down > _SAME_PANEL * after.h


def is_jump(before: Seen | None, after: Seen | None) -> bool:
    """Return whether a tile's person is another one, or too far away to have moved there."""
    if before is None or after is None:
        return False
    if before.person != after.person:
        return True
    if before.box is None or after.box is None:
        return False
    a, b = before.box, after.box
    return math.hypot(a.cx - b.cx, a.cy - b.cy) > _FAR_JUMP * max(a.h, b.h)


def _close(a: Rect, b: Rect) -> bool:
    """Return whether the bodies of two faces may overlap."""
    reach = _BODY * max(a.h, b.h)
    return abs(a.cx - b.cx) < reach and abs(a.cy - b.cy) < reach


def rect_state(rect: Rect | None) -> list[float] | None:
    return None if rect is None else [rect.x, rect.y, rect.w, rect.h]


def boxes(rects: Sequence[Rect | None]) -> Array:
    return np.array([_UNKNOWN if r is None else (r.x, r.y, r.w, r.h) for r in rects]).reshape(-1, 4)
