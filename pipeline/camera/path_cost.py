"""The cost of a camera path, and the path of least cost.

In crop widths and seconds, for one quantity x(t) (the crop's width, or its centre in one direction):

    pan * integral |x'|  +  energy / 2 * integral x''^2  +  out * integral of the distance from the dead zone,

with much higher weights for a cut-off face and for exceeding the limits of speed, acceleration and frame. The absolute
value of the first derivative makes a camera either rest or move, as in Grundmann, Kwatra and Essa,
"Auto-directed video stabilization with robust L1 optimal camera paths" (CVPR 2011); the square of the second derivative
starts and ends movements softly. The derivatives are those of a uniform cubic B-spline's control polygon.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pipeline.camera.bands import Array, Band, CropConstraints
from pipeline.camera.solver import PiecewiseLinearTerms, minimise
from pipeline.settings import CameraSettings

_Term: TypeAlias = tuple[NDArray[np.intp], Array | float, Array | float, Array | float]  # rows, at, up, down

KNOT_S = 0.1
_PAN, _ENERGY, _JERK = 1.0, 0.08, 0.001
_OFF_CENTRE, _OUT, _CUT_OFF = 4.0, 30.0, 600.0
_LIMIT, _FRAME = 2000.0, 5000.0
_RIDGE = 1e-6  # makes the cost strictly convex


@dataclass(frozen=True, slots=True)
class PathProblem:
    """The input of the optimisation: N frames and C control points.

    Attributes:
        weights: (N, C), of the control points at each frame.
        times: (N,), of the frames, seconds.
        constraints: of the N frames.
        least, most: (C,), limits of the control points.
    """

    weights: Array
    times: Array
    constraints: CropConstraints
    least: Array
    most: Array

    def rescaled(self, start: float, unit: float) -> PathProblem:
        """Return the same problem, with quantities measured from ``start`` in multiples of ``unit``."""

        def band(b: Band) -> Band:
            return Band((b.lo - start) / unit, (b.hi - start) / unit)

        want = (self.constraints.want - start) / unit
        given = self.constraints
        constraints = CropConstraints(want, lambda: band(given.near()), band(given.soft), band(given.hard))
        return PathProblem(
            self.weights, self.times, constraints, (self.least - start) / unit, (self.most - start) / unit
        )


def cheapest_path(fixed: Array, problem: PathProblem, settings: CameraSettings) -> Array:
    """Return the control points that follow the ``fixed`` ones, shape (C - len(fixed),), all in crop widths."""
    count, done = len(problem.least), len(fixed)
    hessian = _smoothness(count)
    terms = _cost_terms(problem, settings.speed_max * KNOT_S, settings.acceleration_max * KNOT_S**2)
    already = (terms.rows[:, :done] @ fixed)[terms.of]
    free = PiecewiseLinearTerms(terms.rows[:, done:], terms.of, terms.at - already, terms.up, terms.down)
    start = np.full(count - done, fixed[-1] if done else 0.0)
    return minimise(hessian[done:, done:], hessian[done:, :done] @ fixed, free, start)


def _cost_terms(problem: PathProblem, fastest: float, strongest: float) -> PiecewiseLinearTerms:
    """Return the cost of movement, of the limits, and of the frames' constraints."""
    count = len(problem.least)
    speed, acceleration, _ = _differences(count)
    rows = np.concatenate([speed, acceleration, np.eye(count), problem.weights])
    speeds, accelerations, points, seen = np.split(np.arange(len(rows)), np.cumsum([count - 1, count - 2, count]))
    constraints, seconds = problem.constraints, _durations(problem.times)
    near = constraints.near()
    terms: list[_Term] = [
        (speeds, 0.0, _PAN, _PAN),
        *_between(speeds, -fastest, fastest, _LIMIT),
        *_between(accelerations, -strongest, strongest, _LIMIT),
        *_between(points, problem.least, problem.most, _FRAME),
        *_between(seen, near.lo, near.hi, _OFF_CENTRE * seconds),
        *_between(seen, constraints.soft.lo, constraints.soft.hi, _OUT * seconds),
        *_between(seen, constraints.hard.lo, constraints.hard.hi, _CUT_OFF * seconds),
    ]
    at, up, down = (np.concatenate([t[k] + np.zeros(len(t[0])) for t in terms]) for k in (1, 2, 3))
    return PiecewiseLinearTerms(rows, np.concatenate([t[0] for t in terms]), at, up, down)


def _between(rows: NDArray[np.intp], lo: Array | float, hi: Array | float, price: Array | float) -> list[_Term]:
    """Return the cost of values below ``lo`` or above ``hi``."""
    return [(rows, hi, price, 0.0), (rows, lo, 0.0, price)]


def _durations(times: Array) -> Array:
    """Return the duration of each frame in seconds, shape (N,)."""
    return np.maximum(np.diff(times, append=times[-1:] + KNOT_S / 3), 1e-3)


@lru_cache(maxsize=64)
def _smoothness(count: int) -> Array:
    """Return the quadratic part of the cost, shape (count, count)."""
    _, acceleration, jerk = _differences(count)
    energy: Array = _ENERGY / KNOT_S**3 * acceleration.T @ acceleration
    return energy + _JERK / KNOT_S**5 * jerk.T @ jerk + _RIDGE * np.eye(count)


@lru_cache(maxsize=64)
def _differences(count: int) -> tuple[Array, Array, Array]:
    """Return the first, second and third differences of ``count`` control points as matrices."""
    eye = np.eye(count)
    return np.diff(eye, axis=0), np.diff(eye, 2, axis=0), np.diff(eye, 3, axis=0)
