"""Where people look, from the landmarks of their faces."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from operator import itemgetter
from typing import Any

from engines.frames import Rect
from pipeline.people import Face, Observation, Scene, Seen

_PROFILE = 0.5  # distances of the eyes: how far the nose of a head in profile is from the middle between the eyes
_MEMORY_S = 6.0
_NEAR_S = 0.4  # a detection this near in time says where somebody looks in frames without one


def gaze(face: Face) -> float:
    """Return where a face looks: -1 to the left of the frame, 0 at the camera, 1 to the right."""
    (right_eye, _), (left_eye, _), (nose, _) = face.landmarks[:3]
    apart = max(abs(left_eye - right_eye), 0.15 * face.box.w)
    return max(-1.0, min(1.0, (nose - (left_eye + right_eye) / 2) / apart / _PROFILE))


class GazeMemory:
    """Tells for the people of a scene where they look, from detections around that time."""

    def __init__(self) -> None:
        self._seen: list[tuple[float, Rect, float]] = []

    def note(self, observations: Sequence[Observation]) -> None:
        for observation in observations:
            self._seen += [(observation.t, face.box, gaze(face)) for face in observation.faces or ()]
        if observations:
            self._seen = [seen for seen in self._seen if observations[-1].t - seen[0] <= _MEMORY_S]

    def added(self, scene: Scene) -> Scene:
        """Return the scene with its people's gaze."""
        near = self._near(scene.t)
        return replace(scene, left=_with_gaze(scene.left, near), right=_with_gaze(scene.right, near)) if near else scene

    def _near(self, t: float) -> list[tuple[float, float, Rect]]:
        """Return (distance in time, gaze, box) of the detections around a time, the nearest ones first."""
        first, last = bisect_left(self._seen, (t - _NEAR_S,)), bisect_left(self._seen, (t + _NEAR_S,))
        return sorted(((abs(at - t), look, face) for at, face, look in self._seen[first:last]), key=itemgetter(0, 1))

    def state(self) -> list[Any]:
        return [[t, box.x, box.y, box.w, box.h, look] for t, box, look in self._seen]

    def restore(self, state: list[Any]) -> None:
        self._seen = [(t, Rect(x, y, w, h), look) for t, x, y, w, h, look in state]


def _with_gaze(seen: Seen | None, near: Sequence[tuple[float, float, Rect]]) -> Seen | None:
    if seen is None or seen.box is None:
        return seen
    box = seen.box
    look = next((look for _, look, face in near if _is_same(face, box)), None)
    return seen if look is None else Seen(seen.person, box, seen.source, look)


def _is_same(a: Rect, b: Rect) -> bool:
    return abs(a.cx - b.cx) < 0.5 * max(a.w, b.w) and abs(a.cy - b.cy) < 0.5 * max(a.h, b.h)
