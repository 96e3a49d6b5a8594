"""Cuts: found in bright and dark frames, not invented by movement, exposure or noise."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.data import astronaut, chelsea, coffee

from pipeline.detection.shot_detector import ShotDetector


def thumbnail(frame: NDArray[np.uint8], gain: float = 1.0, shift: int = 0) -> NDArray[np.uint8]:
    gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    window = gray[40:290, 20 + shift : 380 + shift]
    small = cv2.resize(window, (64, 36), interpolation=cv2.INTER_AREA)
    return np.clip(small * gain, 0, 255).astype(np.uint8)


def shot(
    frame: NDArray[np.uint8], n: int, *, gain: float = 1.0, noise: float = 1.0, pan: float = 0.0
) -> NDArray[np.uint8]:
    rng = np.random.default_rng(3)
    clean = np.stack([thumbnail(frame, gain, int(pan * i)) for i in range(n)]).astype(float)
    return np.clip(clean + rng.normal(0, noise, clean.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("gain", [1.0, 0.4, 0.1])
def test_a_cut_is_found_at_its_first_frame_however_dark(gain: float) -> None:
    lengths = ((astronaut(), 20), (coffee(), 20), (chelsea(), 5))
    film = np.concatenate([shot(frame, n, gain=gain) for frame, n in lengths])
    assert [i for i, cut in enumerate(ShotDetector().observe(film)) if cut] == [20, 40]


def test_the_first_frame_is_no_cut() -> None:
    assert ShotDetector().observe(shot(coffee(), 1)) == [False]


def test_a_lamp_that_goes_on_is_no_cut() -> None:
    film = np.concatenate([shot(astronaut(), 10, gain=0.4), shot(astronaut(), 10, gain=0.8)])
    assert not any(ShotDetector().observe(film))


def test_a_camera_that_pans_makes_no_cut() -> None:
    assert not any(ShotDetector().observe(shot(coffee(), 30, pan=5)))


def test_noise_in_the_dark_is_no_cut() -> None:
    rng = np.random.default_rng(1)
    film = np.clip(rng.normal(16, 0.8, (60, 36, 64)), 0, 255).astype(np.uint8)
    assert not any(ShotDetector().observe(film))


def test_something_that_crosses_the_frame_is_no_cut() -> None:
    film = shot(coffee(), 30)
    for i, frame in enumerate(film):
        frame[:, 2 * i : 2 * i + 12] = 90
    assert not any(ShotDetector().observe(film))


@pytest.mark.parametrize("split", [1, 19, 20, 21, 40])
def test_a_restored_detector_goes_on_exactly(split: int) -> None:
    film = np.concatenate([shot(astronaut(), 20), shot(coffee(), 22)])
    whole = ShotDetector().observe(film)
    first, second = ShotDetector(), ShotDetector()
    head = first.observe(film[:split])
    second.restore(json.loads(json.dumps(first.state())))
    assert head + second.observe(film[split:]) == whole
