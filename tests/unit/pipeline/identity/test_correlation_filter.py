"""What the correlation filter finds again, and how sure it is."""

import cv2
import numpy as np
import pytest

from pipeline.identity.correlation_filter import CHIP, CorrelationFilter
from tests.support.still_images import collins, hopper

FACES = {"collins": (collins, (224, 110)), "hopper": (hopper, (250, 240))}
SIDE = 300


def chip(name: str, dx: float = 0, dy: float = 0, gain: float = 1.0) -> np.ndarray:
    """A square of a photograph around the face, shifted by pixels of the chip."""
    photo, (cx, cy) = FACES[name]
    scale = SIDE / CHIP
    x, y = cx + dx * scale - SIDE / 2, cy + dy * scale - SIDE / 2
    move = np.array([[1, 0, -x], [0, 1, -y]], np.float32)
    part = cv2.warpAffine(
        cv2.cvtColor(photo(), cv2.COLOR_BGR2GRAY), move, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE
    )
    return np.clip(gain * cv2.resize(part, (CHIP, CHIP), interpolation=cv2.INTER_AREA), 0, 255).astype(np.uint8)


def noise() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (CHIP, CHIP)).astype(np.uint8)


@pytest.mark.parametrize("name", FACES)
@pytest.mark.parametrize("shift", [(0, 0), (5.3, -3.4), (-12, 8), (10, 12)])
def test_a_shifted_target_is_found_where_it_is(name, shift):
    found = CorrelationFilter(chip(name)).locate(chip(name, -shift[0], -shift[1]))
    assert abs(found.dx - shift[0]) < 0.5 and abs(found.dy - shift[1]) < 0.5
    assert found.peak > 0.35


def test_brighter_and_darker_light_is_the_same_target():
    assert CorrelationFilter(chip("collins")).locate(chip("collins", gain=0.5)).peak > 0.8


@pytest.mark.parametrize("other", [chip("hopper"), noise(), np.full((CHIP, CHIP), 90, np.uint8)])
def test_anything_else_gives_a_low_response(other):
    assert CorrelationFilter(chip("collins")).locate(other).peak < 0.13


def test_it_learns_a_slow_change_and_keeps_what_it_knew():
    known = CorrelationFilter(chip("collins"))
    changed = chip("hopper")
    for share in np.linspace(0.05, 0.5, 10):
        mixed = ((1 - share) * chip("collins") + share * changed).astype(np.uint8)
        assert known.locate(mixed).peak > 0.5
        known.learn(mixed, 0.2)
    assert known.locate(changed).peak > CorrelationFilter(chip("collins")).locate(changed).peak
    assert known.locate(chip("collins")).peak > 0.2


def test_a_restored_filter_answers_the_same():
    known = CorrelationFilter(chip("collins"))
    known.learn(chip("collins", 1, 1), 0.1)
    again = CorrelationFilter.restored(known.state())
    assert again.locate(chip("collins", 4, 2)) == known.locate(chip("collins", 4, 2))
    again.learn(chip("collins", 2, 0), 0.1)
    known.learn(chip("collins", 2, 0), 0.1)
    assert again.state() == known.state()
