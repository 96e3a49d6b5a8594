"""Cuts: found in bright and dark frames, not invented by movement, exposure or noise."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.data import astronaut, chelsea, coffee

from pipeline.detection.shot_detector import ShotDetector
from tests.support.films import f1, films, score


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


DIFFICULT = ("very dark", "low contrast", "dissolving", "dark and dissolving")


def test_dissolves_and_cuts_of_dark_and_flat_films_are_found() -> None:
    """See tests/bench/shots.py for the figures of each style."""
    counts = [
        score(film, [i for i, cut in enumerate(ShotDetector().observe(film.thumbnails())) if cut])
        for film in films([0])
    ]
    assert f1(counts) >= 0.95


def dissolve(a: NDArray[np.uint8], b: NDArray[np.uint8], frames: int) -> NDArray[np.uint8]:
    shares = np.arange(1, frames + 1)[:, None, None] / (frames + 1)
    return ((1 - shares) * a[-1] + shares * b[0]).astype(np.uint8)


@pytest.mark.parametrize("frames", [8, 15, 24])
@pytest.mark.parametrize("gain", [1.0, 0.15])
def test_a_dissolve_is_one_cut_in_its_second_half(frames: int, gain: float) -> None:
    a, b = shot(astronaut(), 40, gain=gain), shot(coffee(), 40, gain=gain)
    cuts = [i for i, cut in enumerate(ShotDetector().observe(np.concatenate([a, dissolve(a, b, frames), b]))) if cut]
    assert len(cuts) == 1
    assert 40 + frames / 2 <= cuts[0] <= 40 + frames + 6


def test_a_fade_through_black_is_one_cut() -> None:
    a, b = shot(astronaut(), 40), shot(coffee(), 40)
    black = np.zeros_like(a[:1])
    film = np.concatenate([a, dissolve(a, black, 8), black, dissolve(black, b, 8), b])
    assert sum(ShotDetector().observe(film)) == 1


@pytest.mark.parametrize("split", [1, 19, 20, 21, 40, 56, 60, 64])
def test_a_restored_detector_goes_on_exactly(split: int) -> None:
    a, b = shot(astronaut(), 20), shot(coffee(), 30)
    film = np.concatenate([a, b, dissolve(b, a, 12), a])
    whole = ShotDetector().observe(film)
    first, second = ShotDetector(), ShotDetector()
    head = first.observe(film[:split])
    second.restore(json.loads(json.dumps(first.state())))
    assert head + second.observe(film[split:]) == whole
