"""The path of one camera: a cubic spline whose control points are planned ahead.

The camera rests as long as one crop is good enough for all frames of the look-ahead. Otherwise its width, then its
centre, follow the path of least cost (`path_cost.py`). The path is a uniform cubic B-spline: its second derivative is
continuous, and a limit that holds at the control points holds between them. The crop stays inside the frame because
width and centre share one set of weights. Control points that shape frames already rendered are fixed, so every plan
continues the last one with the same position, speed and acceleration.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engines.frames import Rect
from pipeline.camera.bands import Array, CropConstraints, clipped
from pipeline.camera.framing import HEIGHT_PER_WIDTH, Framing, widest_crop
from pipeline.camera.neighbour import Neighbour, Pair, Separation
from pipeline.camera.path_cost import KNOT_S, PathProblem, cheapest_path
from pipeline.settings import CameraSettings

_TAIL = 5  # control points planned past the look-ahead, so that there is room to brake
_ZOOM_UNIT = 0.4  # a zoom by this share of the width costs as much as a pan by one width
_FRAMES_PER_POINT = 2  # of observations; the path cannot follow single frames at higher rates
_ORDER = 4  # control points that shape one frame
_ALIGNMENT = 16.0  # pixels
_TOLERANCE = 1e-3  # pixels: smaller differences are rounding errors
_SETTLED_S = 2.0  # after which two who have come near to each other are taken to stay so
_ROUNDING = 2.0**24  # steps per pixel: far finer than control points, far coarser than rounding errors
_GRID = 1024  # steps per pixel of a control point, so that every computer plans the same path


@dataclass(frozen=True, slots=True)
class Stretch:
    """One person and the other one over N consecutive frames.

    Attributes:
        times: (N,), seconds on the camera's clock.
        faces, others: (N, 4), boxes in pixels, NaN where unknown.
        partner: (N, 2), smallest and largest share of its tile that the other face can have, NaN where unknown.
        gaze: (N,), where the person looks, -1 to 1.
    """

    times: Array
    faces: Array
    others: Array
    partner: Array
    gaze: Array

    def known(self, most: int) -> Stretch:
        """Return the frames in which the person is seen, evenly thinned to at most ``most``."""
        seen = np.flatnonzero(~np.isnan(self.faces[:, 0]))
        if len(self.times) == len(seen) <= most:
            return self
        seen = seen[:: max(1, math.ceil(len(seen) / most))]
        arrays = (self.times, self.faces, self.others, self.partner, self.gaze)
        return Stretch(*(array[seen] for array in arrays))


@dataclass(slots=True)
class CameraPath:
    """The latest control points of a spline.

    Attributes:
        origin: time of the first control point of all, seconds on the camera's clock.
        first: how many control points came before those in ``points``.
        points: (width, centre x, centre y) of each control point, pixels.
        separation: how crops treat a near neighbour, None where it does not matter.
        touching_s: since when the two touch, seconds on the camera's clock; None while they do not.
        extends: whether crops may be wider than their frame or panel, and get an extension.
    """

    origin: float
    first: int = 0
    points: list[list[float]] = field(default_factory=list)
    separation: Separation | None = None
    touching_s: float | None = None
    extends: bool = False

    def knots(self, times: Array) -> Array:
        """Return the times in knots since the first control point of ``points`` took effect, shape (N,)."""
        knots: Array = (times - self.origin) / KNOT_S - self.first
        return knots

    def reach(self, time: Array) -> int:
        """Return how many of ``points`` and their successors shape the path up to ``time``, shape (1,)."""
        return math.floor(float(self.knots(time)[0])) + _ORDER

    def at(self, times: Array) -> Array:
        """Return width and centre at these times, shape (N, 3); exactly the control points where these are equal."""
        path: Array = _weights(self.knots(times), len(self.points)) @ np.array(self.points)
        # Weights add up to 1 within rounding errors, which would make a crop at rest flicker.
        return np.round(path * _ROUNDING) / _ROUNDING

    def forget_before(self, time: float) -> None:
        """Drop the control points that shape no frame after this time."""
        expired = math.floor((time - self.origin) / KNOT_S) - self.first
        if expired > 0:
            del self.points[:expired]
            self.first += expired

    def state(self) -> dict[str, Any]:
        return {
            "origin": self.origin,
            "first": self.first,
            "points": [list(p) for p in self.points],
            "separation": self.separation,
            "touching_s": self.touching_s,
            "extends": self.extends,
        }

    @classmethod
    def restored(cls, state: dict[str, Any]) -> CameraPath:
        points = [list(p) for p in state["points"]]
        return cls(state["origin"], state["first"], points, state["separation"], state["touching_s"], state["extends"])


class PathPlanner:
    """Plans camera paths within one framing; stateless."""

    def __init__(self, settings: CameraSettings, framing: Framing) -> None:
        self._settings = settings
        self._framing = framing

    def at_rest(self, time: float, crop: Rect) -> CameraPath:
        """Return a path that rests on this crop."""
        return CameraPath(time, 0, [[crop.w, crop.cx, crop.cy] for _ in range(_ORDER)])

    def extend(self, path: CameraPath, stretch: Stretch, commit: int) -> None:
        """Plan over the whole stretch and fix the path for its first ``commit`` frames.

        A path without control points begins here; then the stretch must show the person in at least one frame.
        """
        need = path.reach(stretch.times[commit - 1 : commit])
        if need > len(path.points):
            count = path.reach(stretch.times[-1:]) + _TAIL
            plan = self._plan(path, stretch.known(_FRAMES_PER_POINT * count), count)
            path.points += [[float(v) for v in point] for point in plan[len(path.points) : need]]

    def _plan(self, path: CameraPath, known: Stretch, count: int) -> Array:
        """Return all control points, shape (count, 3), including the fixed ones."""
        framing = self._framing
        fixed = np.array(path.points).reshape(-1, 3)
        weights = _weights(path.knots(known.times), count)
        pair = Pair.of(known.faces, known.others)

        def plan(axis: int, constraints: CropConstraints, least: Array, most: Array, edge: float | None) -> Array:
            unit = scale * _ZOOM_UNIT if axis == 0 else scale
            return self._plan_axis(
                fixed[:, axis], PathProblem(weights, known.times, constraints, least, most), unit, edge
            )

        neighbour = self._separate(path, pair, known.times)
        extends = path.separation is None and framing.extends(known.faces, path.extends)
        # An extension that is no longer needed ends when the crop fits into its area again.
        path.extends = extends or (path.extends and len(fixed) > 0 and bool(fixed[:, 0].max() > framing.widest))
        constraints = framing.width_constraints(pair, known.partner, neighbour, extends=extends)
        scale = float(fixed[-1, 0]) if len(fixed) else constraints.typical()
        bounds = framing.bounds(fixed)
        widest = np.full(count, framing.extended if path.extends else widest_crop(bounds))
        widths = plan(0, constraints, widest / 16, widest, None)
        seen_widths = weights @ widths
        half = np.minimum(widths / 2, bounds.w / 2)
        in_x = framing.x_constraints(pair, known.gaze, seen_widths, neighbour)
        xs = plan(1, in_x, bounds.x + half, bounds.x + bounds.w - half, float(half[-1]))
        half = np.minimum(widths * HEIGHT_PER_WIDTH / 2, bounds.h / 2)
        in_y = framing.y_constraints(known.faces, seen_widths)
        ys = plan(2, in_y, bounds.y + half, bounds.y + bounds.h - half, float(half[-1]))
        return np.stack([widths, xs, ys], axis=1)

    def _separate(self, path: CameraPath, pair: Pair, times: Array) -> Neighbour | None:
        """Decide how crops treat the neighbour; within a take, who has come near must stay there for a while."""
        neighbour = self._framing.neighbour(pair, path.separation)
        wanted = neighbour.separation if neighbour else None
        if wanted == "touching" and path.points and path.separation != "touching":
            now = float(times[0])
            path.touching_s = now if path.touching_s is None else path.touching_s
            if now - path.touching_s < _SETTLED_S:
                neighbour = self._framing.neighbour(pair, path.separation, may_touch=False)
                path.separation = neighbour.separation if neighbour else None
                return neighbour
        path.separation, path.touching_s = wanted, None
        return neighbour

    def _plan_axis(self, fixed: Array, problem: PathProblem, unit: float, edge: float | None) -> Array:
        count, done = len(problem.least), len(fixed)
        rest = _rest_position(fixed, problem, edge)
        if rest is not None:
            return np.concatenate([fixed, np.full(count - done, rest)])
        start = float(fixed[-1]) if done else problem.constraints.typical()
        found = cheapest_path((fixed - start) / unit, problem.rescaled(start, unit), self._settings) * unit + start
        free = clipped(np.round(found * _GRID) / _GRID, problem.least[done:], problem.most[done:])
        return np.concatenate([fixed, free])


def _rest_position(fixed: Array, problem: PathProblem, edge: float | None) -> float | None:
    """Return where the camera can rest throughout, or None.

    Args:
        edge: half of the crop's extent in this direction, pixels; None for the width itself.
    """
    soft = problem.constraints.soft
    low = max([float(problem.least.max()), *soft.lo.tolist()])
    high = min([float(problem.most.min()), *soft.hi.tolist()])
    if not len(fixed):
        start = _multiple_of_16(min(max(problem.constraints.typical(), low), high), low, high)
        return None if low > high else _snapped(start, edge, low, high)
    here = float(fixed[-1])
    still = set(fixed[1 - _ORDER :].tolist()) == {here}
    return _snapped(here, edge, low, high) if still and low - _TOLERANCE <= here <= high + _TOLERANCE else None


def _multiple_of_16(value: float, low: float, high: float) -> float:
    """Return a multiple of 16 near the value if it is allowed: such crops begin and end on whole pixels."""
    even = _ALIGNMENT * round(value / _ALIGNMENT)
    return even if low <= even <= high else value


def _snapped(value: float, edge: float | None, low: float, high: float) -> float:
    """Return the nearest centre, at most a pixel away, whose crop begins on whole pixels of luma and chroma.

    A movement ends at any fraction of a pixel. A last step of at most a pixel is invisible, and the crop at rest is
    sharp then. A crop whose half extent is not a whole number, as a zoom may leave it, stays where it is.
    """
    if edge is None or edge % 1:
        return value
    whole = edge + 2 * round((value - edge) / 2)
    return whole if low <= whole <= high else value


def _weights(knots: Array, count: int) -> Array:
    """Return the weights of ``count`` control points at each time, shape (N, count), of uniform cubic B-splines."""
    whole = np.floor(knots)
    f = knots - whole
    square, cube = f**2, f**3
    values = np.array([(1 - f) ** 3, 3 * cube - 6 * square + 4, -3 * cube + 3 * square + 3 * f + 1, cube]) / 6
    weights = np.zeros((len(knots), count))
    weights[np.arange(len(knots)), whole.astype(np.intp) + np.arange(_ORDER)[:, None]] = values
    return weights
