"""Living faces move slowly; pictures do not, however noisy they are."""

from __future__ import annotations

import math

import numpy as np

from pipeline.identity.liveliness import FeatureMotion


def motion(slow: float, noise: float, *, hz: float = 5.0, seconds: float = 4.0) -> FeatureMotion:
    """Features that move by ``slow`` eye distances within seconds, and are detected with noise."""
    rng, found = np.random.default_rng(2), FeatureMotion(0.0)
    for n in range(round(seconds * hz)):
        found.add(n / hz, [slow * math.sin(1.5 * n / hz + k) + float(rng.normal(0, noise)) for k in range(6)])
    return found


def test_a_picture_is_still_even_if_it_is_noisy() -> None:
    assert motion(0.0, 0.003).is_still
    assert motion(0.0, 0.015).is_still


def test_a_living_face_moves_even_if_it_is_seen_clearly() -> None:
    assert not motion(0.025, 0.003).is_still
    assert not motion(0.04, 0.015).is_still


def test_nothing_is_still_before_it_was_seen_for_long_enough() -> None:
    assert not motion(0.0, 0.003, seconds=2.0).is_still
    assert not motion(0.0, 0.003, hz=2.0).is_still
