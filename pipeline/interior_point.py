"""A small convex solver: a quadratic plus weighted absolute values and hinges, which is what a camera path costs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.framing import Array

_ITERATIONS = 30
_GAP = 1e-6                       # mean complementarity at which a solution is good enough
_TO_BOUNDARY = 0.95               # share of the way to the boundary that one step may go


@dataclass(frozen=True, slots=True)
class Kinks:
    """Piecewise linear costs of ``y = rows @ x - at``: ``up * y`` where y > 0, ``down * -y`` where y < 0.

    ``rows`` is (R, N); ``at``, ``up`` and ``down`` are (R,), and ``up + down`` is positive everywhere.
    """

    rows: Array
    at: Array
    up: Array
    down: Array


def minimise(hessian: Array, linear: Array, kinks: Kinks, start: Array) -> Array:
    """Minimise ``x @ hessian @ x / 2 + linear @ x`` plus the kinks' costs; all shapes (N,) or (N, N).

    A primal-dual interior point method in the form used for quantile regression, where the dual of every kink is one
    number between ``-down`` and ``up`` (Portnoy and Koenker, "The Gaussian hare and the Laplacian tortoise", 1997).
    ``hessian`` must be positive definite.
    """
    x, a = start.copy(), kinks.rows
    y = a @ x - kinks.at
    slack = 0.1 * (1 + np.abs(y))
    above, below = np.maximum(y, 0) + slack, np.maximum(-y, 0) + slack
    dual = (kinks.up - kinks.down) / 2
    for _ in range(_ITERATIONS):
        to_up, to_down = kinks.up - dual, kinks.down + dual
        gap = float(above @ to_up + below @ to_down) / (2 * len(y))
        gradient = hessian @ x + linear + dual @ a
        residual = a @ x - kinks.at - above + below
        if gap < _GAP and np.abs(gradient).max() < 1e-4 and np.abs(residual).max() < 1e-5:
            break
        target = 0.15 * gap
        weight = 1 / (above / to_up + below / to_down)
        shift = -residual + (target / to_up - above) - (target / to_down - below)
        dx = np.linalg.solve(hessian + (a.T * weight) @ a, -gradient + (weight * shift) @ a)
        dp = weight * (a @ dx - shift)
        d_above = (target + above * dp) / to_up - above
        d_below = (target - below * dp) / to_down - below
        primal = _step(above, d_above, below, d_below)
        both = _step(to_up, -dp, to_down, dp)
        x += primal * dx
        above += primal * d_above
        below += primal * d_below
        dual += both * dp
    return x


def _step(a: Array, da: Array, b: Array, db: Array) -> float:
    """The longest step, at most 1, that keeps ``a`` and ``b`` positive."""
    steepest = max(float((-da / a).max()), float((-db / b).max()))
    return min(1.0, _TO_BOUNDARY / steepest) if steepest > 0 else 1.0
