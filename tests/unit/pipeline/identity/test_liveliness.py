"""Living faces move slowly; pictures do not, however noisy they are."""

from __future__ import annotations

import math

import numpy as np

from pipeline.identity.liveliness import MOTIONLESS, STILL_SPREAD, FeatureMotion


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


def test_a_first_impression_takes_less_than_a_second() -> None:
    picture, living = motion(0.0, 0.001, hz=10, seconds=0.7).spread, motion(0.1, 0.001, hz=10, seconds=0.7).spread
    assert picture is not None
    assert living is not None
    assert picture < MOTIONLESS < STILL_SPREAD < living
    assert motion(0.0, 0.001, hz=10, seconds=0.3).spread is None


def test_nothing_is_still_before_it_was_seen_for_long_enough() -> None:
    assert not motion(0.0, 0.003, seconds=2.0).is_still
    assert not motion(0.0, 0.003, hz=2.0).is_still
