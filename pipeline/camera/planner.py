"""The virtual cameras together: scenes in, rows with final crops out, delayed by the look-ahead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engines.frames import Rect
from pipeline.camera.framings import Framings
from pipeline.camera.full_frame_camera import FullFrameCamera
from pipeline.camera.tile_camera import TileCamera
from pipeline.camera.tile_view import View, rect_state
from pipeline.people import Row, Scene, Seen, Side, size_from_json
from pipeline.settings import CameraSettings

_PLANS_PER_LOOKAHEAD = 4  # replans in this time; so a plan sees at least 3/4 of it
_LONGEST_STEP_S = 0.2  # longest camera time between two frames, for variable frame rates


class CameraOperator:
    """Frames both people of one video.

    Deterministic: rows depend on the scenes, not on how calls group them. A row is final once the scenes reach
    ``lookahead_s`` past it.

    Args:
        missing: what a tile shows whose person is away, "hold" or "freeze".
        lookahead_s: look-ahead, seconds.
        width, height: of the displayed frame, pixels; scenes may name other sizes.
    """

    def __init__(self, settings: CameraSettings, *, missing: str, lookahead_s: float, width: int, height: int) -> None:
        framings = Framings(settings, (width, height))
        hold_s = 0.0 if missing == "freeze" else settings.hold_s
        bridge_s = min(settings.bridge_s, lookahead_s)
        sides: tuple[Side, Side] = ("left", "right")
        self._left, self._right = (TileCamera(s, settings, framings, hold_s=hold_s, bridge_s=bridge_s) for s in sides)
        self._left_view, self._right_view = (View(s) for s in sides)
        self._full: FullFrameCamera | None = FullFrameCamera(settings, (width, height), bridge_s=bridge_s)
        self._people: set[int] = set()  # that have been seen so far
        self._lookahead_s = lookahead_s
        self._clock = 0.0
        self._last_t: float | None = None

    def observe(self, scenes: Sequence[Scene]) -> list[Row]:
        """Take further scenes and return the rows that are final now, in order."""
        rows: list[Row] = []
        for scene in scenes:
            self._append(scene)
            while self._waiting_s() >= self._lookahead_s:
                rows += self._commit()
        return rows

    def finish(self) -> list[Row]:
        """Return the remaining rows at the end of the video."""
        rows: list[Row] = []
        while len(self._left_view):
            rows += self._commit()
        return rows

    def _append(self, scene: Scene) -> None:
        if self._last_t is not None:
            self._clock += min(max(scene.t - self._last_t, 0.0), _LONGEST_STEP_S)
        self._last_t = scene.t
        self._wait(scene, self._clock)

    def _waiting_s(self) -> float:
        """Return the time from the oldest scene that waits to the latest one, seconds; -1 where none waits."""
        seconds = self._left_view.seconds
        return seconds[-1] - seconds[0] if seconds else -1.0

    def _wait(self, scene: Scene, time: float) -> None:
        for view in (self._left_view, self._right_view):
            view.append(scene, time)
        self._people |= {seen.person for seen in (scene.left, scene.right) if seen and seen.box}
        if len(self._people) > 1:
            self._full = None
        if self._full is not None:
            self._full.append(scene, time)

    def _commit(self) -> list[Row]:
        """Decide the oldest scenes; later ones are known to the plan."""
        seconds = self._left_view.seconds
        until = seconds[0] + self._lookahead_s / _PLANS_PER_LOOKAHEAD
        count = max(1, sum(t < until for t in seconds))
        left = self._left.advance(self._left_view, count)
        right = self._right.advance(self._right_view, count)
        full = [None] * count if self._full is None else self._full.advance(count)
        done = self._left_view.scenes[:count]
        for view in (self._left_view, self._right_view):
            view.drop(count)
        return [Row(s.pts, s.t, a, b, s.frame, c) for s, a, b, c in zip(done, left, right, full, strict=True)]

    def state(self) -> dict[str, Any]:
        """Return everything that later rows depend on, as JSON-able values."""
        return {
            "scenes": [_scene_state(s) for s in self._left_view.scenes],
            "times": list(self._left_view.seconds),
            "clock": self._clock,
            "last_t": self._last_t,
            "left": self._left.state(),
            "right": self._right.state(),
            "full": self._full.state() if self._full is not None else None,
            "people": sorted(self._people),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from the state of another operator with the same settings and frame size."""
        self._people = set(state["people"])
        for scene, time in zip(state["scenes"], state["times"], strict=True):
            self._wait(_restored_scene(scene), time)
        self._clock, self._last_t = state["clock"], state["last_t"]
        self._left.restore(state["left"])
        self._right.restore(state["right"])
        if state["full"] is None:
            self._full = None
        elif self._full is not None:
            self._full.restore(state["full"])


def _scene_state(scene: Scene) -> list[Any]:
    seen = [_seen_state(s) for s in (scene.left, scene.right)]
    return [
        scene.pts,
        scene.t,
        scene.cut,
        *seen,
        [rect_state(r) for r in scene.others],
        scene.frame,
        [rect_state(r) for r in scene.panels],
    ]


def _seen_state(seen: Seen | None) -> list[Any] | None:
    return None if seen is None else [seen.person, rect_state(seen.box), seen.source, seen.gaze]


def _restored_scene(state: list[Any]) -> Scene:
    pts, t, cut, left, right, others, frame, panels = state
    left, right = _restored_seen(left), _restored_seen(right)
    bystanders, parts = (tuple(Rect(*r) for r in rects) for rects in (others, panels))
    return Scene(pts, t, cut, left, right, bystanders, size_from_json(frame), parts)


def _restored_seen(state: list[Any] | None) -> Seen | None:
    if state is None:
        return None
    person, box, source, gaze = state
    return Seen(person, Rect(*box) if box else None, source, gaze)
