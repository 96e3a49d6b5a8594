"""The convex solver behind the camera paths."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.camera.solver import PiecewiseLinearTerms, minimise

TINY = 1e-9


def solve(rows, at, up, down, hessian=None, linear=None, of=None):
    rows = np.atleast_2d(np.asarray(rows, float))
    n = rows.shape[1]
    of = np.arange(len(rows)) if of is None else np.asarray(of)
    terms = PiecewiseLinearTerms(rows, of, *(np.asarray(v, float) for v in (at, up, down)))
    hessian = TINY * np.eye(n) if hessian is None else np.asarray(hessian, float)
    return minimise(hessian, np.zeros(n) if linear is None else np.asarray(linear, float), terms, np.zeros(n))


def test_equal_prices_on_both_sides_find_the_median():
    values = [0.3, -2.0, 5.0, 0.9, 1.1]
    assert solve(np.ones((5, 1)), values, np.ones(5), np.ones(5)) == pytest.approx([0.9], abs=1e-4)


def test_unequal_prices_find_a_quantile():
    values = np.arange(10.0)
    found = solve(np.ones((10, 1)), values, np.full(10, 0.25), np.full(10, 0.75))
    assert found == pytest.approx([7.0], abs=1e-3)


@given(target=st.floats(-3, 3), price=st.floats(0.01, 5))
def test_absolute_value_against_square_is_soft_thresholding(target, price):
    found = solve([[1.0]], [0.0], [price], [price], hessian=[[1.0]], linear=[-target])
    assert found[0] == pytest.approx(np.sign(target) * max(abs(target) - price, 0), abs=2e-3)


def test_a_dear_hinge_is_a_limit():
    found = solve([[1.0], [1.0]], [0.5, -0.5], [1e4, 0.0], [0.0, 1e4], hessian=[[1.0]], linear=[-2.0])
    assert found == pytest.approx([0.5], abs=1e-5)


def test_terms_may_share_a_row():
    found = solve([[1.0]], [0.5, -0.5], [1e4, 0.0], [0.0, 1e4], hessian=[[1.0]], linear=[2.0], of=[0, 0])
    assert found == pytest.approx([-0.5], abs=1e-5)


@given(seed=st.integers(0, 2**32 - 1))
def test_nothing_near_the_minimum_costs_less(seed):
    rng = np.random.default_rng(seed)
    n, r = 6, 40
    root = rng.normal(size=(n, n))
    hessian, linear = root @ root.T + 0.01 * np.eye(n), rng.normal(size=n)
    rows, at = rng.normal(size=(r, n)), rng.normal(size=r)
    up, down = rng.uniform(0.01, 50, r), rng.uniform(0, 50, r)
    found = minimise(hessian, linear, PiecewiseLinearTerms(rows, np.arange(r), at, up, down), np.zeros(n))

    def cost(x):
        y = rows @ x - at
        return x @ hessian @ x / 2 + linear @ x + np.sum(up * np.maximum(y, 0) + down * np.maximum(-y, 0))

    others = [found + rng.normal(size=n) * size for size in (1e-3, 1e-2, 0.1, 1.0) for _ in range(20)]
    assert min(cost(x) for x in others) >= cost(found) - 1e-3
