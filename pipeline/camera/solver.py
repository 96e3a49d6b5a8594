"""A small convex solver for the cost of a camera path: a quadratic plus weighted absolute values and hinges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.camera.bands import Array

_ITERATIONS = 30
_GAP = 1e-6  # mean complementarity at which a solution is good enough
_CENTRING = 0.1  # share of the gap that one step aims at
_TO_BOUNDARY = 0.98  # share of the way to the boundary that one step may go


@dataclass(frozen=True, slots=True)
class PiecewiseLinearTerms:
    """K piecewise linear costs of ``y = (rows @ x)[of] - at``: ``up * y`` where y > 0, ``down * -y`` where y < 0.

    Attributes:
        rows: (R, N).
        of: (K,), the row of each term; several terms may share a row.
        at, up, down: (K,); ``up + down`` is positive.
    """

    rows: Array
    of: NDArray[np.intp]
    at: Array
    up: Array
    down: Array


def minimise(hessian: Array, linear: Array, terms: PiecewiseLinearTerms, start: Array) -> Array:
    """Return the minimum of ``x @ hessian @ x / 2 + linear @ x`` plus the terms, shape (N,).

    A primal-dual interior point method in the form used for quantile regression, where the dual of every term is one
    number between ``-down`` and ``up`` (Portnoy and Koenker, "The Gaussian hare and the Laplacian tortoise", 1997).
    ``hessian`` must be positive definite.
    """
    x, rows, of = start.copy(), terms.rows, terms.of
    y = (rows @ x)[of] - terms.at
    slack = 0.1 * (1 + np.abs(y))
    above, below = np.maximum(y, 0) + slack, np.maximum(-y, 0) + slack
    dual = (terms.up - terms.down) / 2

    def sum_by_row(values: Array) -> Array:
        sums: Array = np.bincount(of, values, len(rows)).astype(np.float64, copy=False)
        return sums

    for _ in range(_ITERATIONS):
        to_up, to_down = terms.up - dual, terms.down + dual
        gap = float(above @ to_up + below @ to_down) / (2 * len(of))
        gradient = hessian @ x + linear + sum_by_row(dual) @ rows
        residual = (rows @ x)[of] - terms.at - above + below
        if gap < _GAP and np.abs(gradient).max() < 1e-4 and np.abs(residual).max() < 1e-5:
            break
        target = _CENTRING * gap
        weight = 1 / (above / to_up + below / to_down)
        shift = (target / to_up - above) - (target / to_down - below) - residual
        dx = np.linalg.solve(
            hessian + (rows.T * sum_by_row(weight)) @ rows, sum_by_row(weight * shift) @ rows - gradient
        )
        dp = weight * ((rows @ dx)[of] - shift)
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
    """Return the longest step, at most 1, that keeps ``a`` and ``b`` positive."""
    steepest = max(float((-da / a).max()), float((-db / b).max()))
    return min(1.0, _TO_BOUNDARY / steepest) if steepest > 0 else 1.0
