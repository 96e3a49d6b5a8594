"""The path of one camera: a cubic spline whose control points are planned ahead.

The camera stands still as long as that is good enough for everything the look-ahead shows. Otherwise its width, then
its middle, follow the path of least cost (`path_cost.py`). The path is a uniform cubic B-spline, so it has no
corners, and a limit that the control points keep is kept between them: the crop stays inside the frame because width
and middle share one set of weights. Control points that shape frames already rendered are fixed, which makes every
plan go on from the last one with its position, speed and acceleration.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engines.frames import Rect
from pipeline.camera.framing import HEIGHT_PER_WIDTH, Array, CropConstraints, Framing
from pipeline.camera.path_cost import KNOT_S, PathProblem, cheapest
from pipeline.settings import CameraSettings

_TAIL = 5  # control points planned past the look-ahead, so that there is room to brake
_ZOOM_UNIT = 0.4  # changing the width by so much counts as much as moving by one width
_FRAMES_PER_POINT = 2  # at higher frame rates the path cannot follow single frames anyway
_ORDER = 4  # control points that shape one frame
_EVEN = 16.0  # pixels
_GRAIN = 1e-3  # of a pixel: less is rounding
_EXACT = 2.0**24  # far finer than control points, far coarser than rounding
_GRID = 1024  # control points are rounded to this share of a pixel: every computer plans the same


@dataclass(frozen=True, slots=True)
class Stretch:
    """What is known of one person over consecutive frames.

    ``times`` is (N,), seconds on the camera's clock; ``faces`` and ``others`` are (N, 4) boxes, NaN where unknown.
    """

    times: Array
    faces: Array
    others: Array

    def known(self, most: int) -> Stretch:
        """Only frames in which the person is seen, evenly thinned to at most this many."""
        seen = np.flatnonzero(~np.isnan(self.faces[:, 0]))
        seen = seen[:: max(1, math.ceil(len(seen) / most))]
        return Stretch(self.times[seen], self.faces[seen], self.others[seen])


@dataclass(slots=True)
class CameraPath:
    """The spline's latest control points (width, middle x, middle y); ``first`` of them came before these."""

    origin: float
    first: int = 0
    points: list[list[float]] = field(default_factory=list)

    def knots(self, times: Array) -> Array:
        """The times in knots since the first control point in memory took effect."""
        knots: Array = (times - self.origin) / KNOT_S - self.first
        return knots

    def reach(self, time: Array) -> int:
        """How many control points, from the first in memory on, shape the path up to this time, shape (1,)."""
        return math.floor(float(self.knots(time)[0])) + _ORDER

    def at(self, times: Array) -> Array:
        """Width and middle at these times, shape (N, 3). Where the control points are equal, exactly what they are."""
        path: Array = _weights(self.knots(times), len(self.points)) @ np.array(self.points)
        # Weights add up to 1 but for rounding, by which a crop at rest would flicker.
        return np.round(path * _EXACT) / _EXACT

    def forget_before(self, time: float) -> None:
        """Drop the control points that no longer shape anything after this time."""
        needless = math.floor((time - self.origin) / KNOT_S) - self.first
        if needless > 0:
            del self.points[:needless]
            self.first += needless

    def state(self) -> dict[str, Any]:
        return {"origin": self.origin, "first": self.first, "points": [list(p) for p in self.points]}

    @classmethod
    def restored(cls, state: dict[str, Any]) -> CameraPath:
        return cls(state["origin"], state["first"], [list(p) for p in state["points"]])


class PathPlanner:
    """Plans camera paths within one framing. Holds no state."""

    def __init__(self, settings: CameraSettings, framing: Framing) -> None:
        self._settings = settings
        self._framing = framing

    def resting(self, time: float, crop: Rect) -> CameraPath:
        """A path that stands still on this crop."""
        return CameraPath(time, 0, [[crop.w, crop.cx, crop.cy] for _ in range(_ORDER)])

    def extend(self, path: CameraPath, stretch: Stretch, commit: int) -> None:
        """Plan over the whole stretch and fix the path for its first ``commit`` frames.

        A path without control points begins here; then the person must be seen somewhere in the stretch.
        """
        need = path.reach(stretch.times[commit - 1 : commit])
        if need > len(path.points):
            count = path.reach(stretch.times[-1:]) + _TAIL
            plan = self._plan(path, stretch.known(_FRAMES_PER_POINT * count), count)
            path.points += [[float(v) for v in point] for point in plan[len(path.points) : need]]

    def _plan(self, path: CameraPath, known: Stretch, count: int) -> Array:
        """All control points, shape (count, 3), the fixed ones included."""
        framing = self._framing
        fixed = np.array(path.points).reshape(-1, 3)
        weights = _weights(path.knots(known.times), count)
        seconds = _durations(known.times)

        def plan(axis: int, constraints: CropConstraints, least: Array, most: Array) -> Array:
            unit = scale * _ZOOM_UNIT if axis == 0 else scale
            edge = None if axis == 0 else float(least[-1])
            return self._plan_axis(fixed[:, axis], PathProblem(weights, seconds, constraints, least, most), unit, edge)

        constraints = framing.width_wishes(known.faces, known.others)
        scale = float(fixed[-1, 0]) if len(fixed) else constraints.usual()
        widest = np.full(count, framing.widest)
        widths = plan(0, constraints, widest / 16, widest)
        seen_widths = weights @ widths
        half = widths / 2
        xs = plan(1, framing.x_wishes(known.faces, known.others, seen_widths), half, framing.width - half)
        half = half * HEIGHT_PER_WIDTH
        ys = plan(2, framing.y_wishes(known.faces, seen_widths), half, framing.height - half)
        return np.stack([widths, xs, ys], axis=1)

    def _plan_axis(self, fixed: Array, problem: PathProblem, unit: float, edge: float | None) -> Array:
        count, done = len(problem.least), len(fixed)
        rest = _rest(fixed, problem, edge)
        if rest is not None:
            return np.concatenate([fixed, np.full(count - done, rest)])
        start = float(fixed[-1]) if done else problem.constraints.usual()
        found = cheapest((fixed - start) / unit, problem.measured(start, unit), self._settings) * unit + start
        free = np.clip(np.round(found * _GRID) / _GRID, problem.least[done:], problem.most[done:])
        return np.concatenate([fixed, free])


def _rest(fixed: Array, problem: PathProblem, edge: float | None) -> float | None:
    """Where the camera can stand still throughout, or None. ``edge``: how far the crop reaches from its middle."""
    soft = problem.constraints.soft
    low = max([float(problem.least.max()), *soft.lo])
    high = min([float(problem.most.min()), *soft.hi])
    if not len(fixed):
        start = _even(min(max(problem.constraints.usual(), low), high), low, high)
        return None if low > high else _settled(start, edge, low, high)
    here = float(fixed[-1])
    still = bool(np.all(fixed[1 - _ORDER :] == here))
    return _settled(here, edge, low, high) if still and low - _GRAIN <= here <= high + _GRAIN else None


def _even(value: float, low: float, high: float) -> float:
    """A multiple of 16 near the value: such crops begin and end on whole pixels and stay sharp."""
    even = _EVEN * round(value / _EVEN)
    return even if low <= even <= high else value


def _settled(value: float, edge: float | None, low: float, high: float) -> float:
    """The nearest place, at most a pixel away, from which a crop begins on whole pixels of luma and chroma.

    A movement ends wherever it does. To creep on by so little is seen by nobody, and what rests is sharp then. A crop
    whose edge is a fraction of a pixel away from its middle, as a zoom may leave it, stays where it is.
    """
    if edge is None or edge % 1:
        return value
    whole = edge + 2 * round((value - edge) / 2)
    return whole if low <= whole <= high else value


def _weights(knots: Array, count: int) -> Array:
    """Weights of ``count`` control points at each time, shape (N, count): uniform cubic B-splines."""
    whole = np.floor(knots)
    f = knots - whole
    values = np.stack([(1 - f) ** 3, 3 * f**3 - 6 * f**2 + 4, -3 * f**3 + 3 * f**2 + 3 * f + 1, f**3], axis=1) / 6
    weights = np.zeros((len(knots), count))
    np.put_along_axis(weights, whole.astype(np.intp)[:, None] + np.arange(_ORDER), values, axis=1)
    return weights


def _durations(times: Array) -> Array:
    """How long each frame counts, seconds."""
    return np.maximum(np.diff(times, append=times[-1:] + KNOT_S / 3), 1e-3)
