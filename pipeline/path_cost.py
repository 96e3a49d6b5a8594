"""What a camera path costs, and the cheapest one.

In crop widths and seconds, for the position x(t) of one quantity (the crop's width, or its middle in one direction):

    pan * integral |x'|  +  energy / 2 * integral x''^2  +  out * integral of the distance from the wished zone,

with far heavier prices for a cut-off face and for exceeding the limits of speed, acceleration and picture. Pricing the
first derivative by its absolute value makes a camera either rest or move, as in Grundmann, Kwatra and Essa,
"Auto-directed video stabilization with robust L1 optimal camera paths" (CVPR 2011); the square of the second starts and
ends movements softly. The derivatives are those of a uniform cubic B-spline's control polygon.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pipeline.framing import Array, Band, Wishes
from pipeline.interior_point import Kinks, minimise
from pipeline.settings import CameraSettings

KNOT_S = 0.1
_PAN, _ENERGY, _JERK = 1.0, 0.08, 0.001
_OFF_CENTRE, _OUT, _CUT_OFF = 4.0, 30.0, 600.0
_LIMIT, _PICTURE = 2000.0, 5000.0
_RIDGE = 1e-6                     # makes the cost strictly convex where nothing else decides


@dataclass(frozen=True, slots=True)
class Demand:
    """What a path must do: serve N pictures with C control points.

    ``weights`` (N, C) give the path at each picture, which lasts ``seconds`` (N,) and has its ``wishes``; the control
    points lie between ``least`` and ``most``, both (C,).
    """

    weights: Array
    seconds: Array
    wishes: Wishes
    least: Array
    most: Array

    def measured(self, start: float, unit: float) -> Demand:
        """The same demand, measured from ``start`` in multiples of ``unit``."""

        def band(b: Band) -> Band:
            return Band((b.lo - start) / unit, (b.hi - start) / unit)

        wishes = Wishes(band(self.wishes.near), band(self.wishes.soft), band(self.wishes.hard))
        return Demand(self.weights, self.seconds, wishes, (self.least - start) / unit, (self.most - start) / unit)


def cheapest(fixed: Array, demand: Demand, settings: CameraSettings) -> Array:
    """The control points that follow the ``fixed`` ones, shape (C - len(fixed),), all in crop widths."""
    count, done = len(demand.least), len(fixed)
    hessian = _smoothness(count)
    kinks = _kinks(demand, settings.speed_max, settings.acceleration_max)
    free = Kinks(kinks.rows[:, done:], kinks.at - kinks.rows[:, :done] @ fixed, kinks.up, kinks.down)
    start = np.full(count - done, fixed[-1] if done else 0.0)
    return minimise(hessian[done:, done:], hessian[done:, :done] @ fixed, free, start)


def _kinks(demand: Demand, fastest: float, strongest: float) -> Kinks:
    limits = _limits(len(demand.least), fastest, strongest)
    bands = (demand.wishes.near, demand.wishes.soft, demand.wishes.hard)
    rows = np.concatenate([limits.rows, *[demand.weights] * (2 * len(bands))])
    fixed = limits.at[: -2 * len(demand.least)]
    at = np.concatenate([fixed, demand.most, demand.least, *[b.hi for b in bands], *[b.lo for b in bands]])
    prices = np.concatenate([price * demand.seconds for price in (_OFF_CENTRE, _OUT, _CUT_OFF)])
    nothing = np.zeros(len(prices))
    up = np.concatenate([limits.up, prices, nothing])
    down = np.concatenate([limits.down, nothing, prices])
    return Kinks(rows, at, up, down)


@lru_cache(maxsize=64)
def _limits(count: int, fastest: float, strongest: float) -> Kinks:
    """Prices of moving and of the limits; the last 2 * count rows are the control points, to be kept in the picture."""
    speed, acceleration, _ = _differences(count)
    eye = np.eye(count)
    parts: list[tuple[Array, float, float, float]] = [
        (speed, 0.0, _PAN, _PAN),
        (speed, fastest * KNOT_S, _LIMIT, 0.0),
        (speed, -fastest * KNOT_S, 0.0, _LIMIT),
        (acceleration, strongest * KNOT_S**2, _LIMIT, 0.0),
        (acceleration, -strongest * KNOT_S**2, 0.0, _LIMIT),
        (eye, 0.0, _PICTURE, 0.0),
        (eye, 0.0, 0.0, _PICTURE),
    ]
    columns = [np.concatenate([np.full(len(p[0]), p[k]) for p in parts]) for k in (1, 2, 3)]
    return Kinks(np.concatenate([p[0] for p in parts]), columns[0], columns[1], columns[2])


@lru_cache(maxsize=64)
def _smoothness(count: int) -> Array:
    """The quadratic part of the cost, shape (count, count)."""
    _, acceleration, jerk = _differences(count)
    energy: Array = _ENERGY / KNOT_S**3 * acceleration.T @ acceleration
    return energy + _JERK / KNOT_S**5 * jerk.T @ jerk + _RIDGE * np.eye(count)


def _differences(count: int) -> tuple[Array, Array, Array]:
    """First, second and third differences of ``count`` control points, as matrices."""
    eye = np.eye(count)
    return np.diff(eye, axis=0), np.diff(eye, 2, axis=0), np.diff(eye, 3, axis=0)
