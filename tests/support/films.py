"""Drawn films of many shots: bright, dark or flat, with cuts, dissolves and fades, and with distractors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data

SIZE = 320, 180
FPS = 30
LATE = 6  # frames after the end of a gradual transition by which it must be found
Image = NDArray[np.float32]


@dataclass(frozen=True)
class Style:
    """How a film is lit and cut.

    Attributes:
        gain, lift: luma is ``lift + gain * luma``.
        noise: standard deviation of a pixel's noise.
        gradual: share of transitions that are dissolves or fades.
    """

    gain: float = 1.0
    lift: float = 0.0
    noise: float = 2.0
    gradual: float = 0.0


STYLES = {
    "bright": Style(),
    "dark": Style(gain=0.12, lift=16),
    "very dark": Style(gain=0.06, lift=16, noise=1.5),
    "low contrast": Style(gain=0.15, lift=110),
    "dissolving": Style(gradual=1.0),
    "dark and dissolving": Style(gain=0.15, lift=16, gradual=0.7),
}


@dataclass
class Film:
    """Frames as BGR, and the first and last frame of each transition; for a hard cut, twice the first new frame."""

    style: str
    frames: list[NDArray[np.uint8]] = field(default_factory=list)
    transitions: list[tuple[int, int]] = field(default_factory=list)

    def thumbnails(self) -> NDArray[np.uint8]:
        small = (
            cv2.resize(cv2.cvtColor(f, cv2.COLOR_BGR2GRAY), (64, 36), interpolation=cv2.INTER_AREA) for f in self.frames
        )
        return np.stack(list(small))


def films(seeds: Sequence[int], styles: Sequence[str] = tuple(STYLES)) -> Iterator[Film]:
    """Draw one film of each style for each seed."""
    for seed in seeds:
        for style in styles:
            yield draw(style, seed)


def draw(style: str, seed: int, shots: int = 8) -> Film:
    """Draw a film of several shots of one to three seconds."""
    rng, look = np.random.default_rng([seed, *style.encode()]), STYLES[style]
    film, before = Film(style), None
    for _ in range(shots):
        shot = _shot(rng, int(rng.integers(30, 90)))
        if before is not None:
            _join(film, before, shot, rng, look)
        if before is None or film.transitions[-1][0] == film.transitions[-1][1]:
            rest = shot
        else:
            rest = shot[film.transitions[-1][1] - film.transitions[-1][0] + 1 :]
        film.frames += [_exposed(f, look, rng) for f in rest]
        before = shot
    return film


def score(film: Film, found: Sequence[int]) -> tuple[int, int, int]:
    """Return how many transitions were found, how many detections are wrong, and how many transitions were missed."""
    left, hits = list(found), 0
    for start, end in film.transitions:
        late = LATE if end > start else 0
        match = next((f for f in left if start - (end > start) <= f <= end + late), None)
        if match is not None:
            left.remove(match)
            hits += 1
    return hits, len(left), len(film.transitions) - hits


def f1(counts: Sequence[tuple[int, int, int]]) -> float:
    """Return the harmonic mean of precision and recall over several films."""
    hits, extra, missed = (sum(column) for column in zip(*counts, strict=True))
    return 2 * hits / (2 * hits + extra + missed)


def _join(film: Film, before: list[Image], shot: list[Image], rng: np.random.Generator, look: Style) -> None:
    """Add the frames of a gradual transition, and the transition's span."""
    at = len(film.frames)
    if rng.random() >= look.gradual:
        film.transitions.append((at, at))
        return
    length = int(rng.integers(8, 28))
    mix = _dissolve if rng.random() < 0.7 else _fade
    film.frames += [_exposed(mix(before[-1], shot[k], (k + 1) / (length + 1)), look, rng) for k in range(length)]
    film.transitions.append((at, at + length - 1))


def _dissolve(a: Image, b: Image, share: float) -> Image:
    return (1 - share) * a + share * b


def _fade(a: Image, b: Image, share: float) -> Image:
    return a * (1 - 2 * share) if share < 0.5 else b * (2 * share - 1)


def _exposed(frame: Image, look: Style, rng: np.random.Generator) -> NDArray[np.uint8]:
    noisy = look.lift + look.gain * frame + look.noise * rng.standard_normal((*frame.shape[:2], 1), np.float32)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def _shot(rng: np.random.Generator, length: int) -> list[Image]:
    """One shot: a still, panning, zooming or hand-held camera, a person who moves, and now and then a distractor."""
    photo = _photo(str(rng.choice(_PHOTOS)))
    width = photo.shape[1] * rng.uniform(0.45, 0.7)
    x, y = rng.uniform(0.35, 0.65) * photo.shape[1], rng.uniform(0.35, 0.65) * photo.shape[0]
    drift, zoom = rng.choice([0, 0, 0.4, 1.2]) * rng.choice([-1, 1]), rng.choice([1.0, 1.0, 1.002])
    shake, person, distract = rng.choice([0, 0, 0.6]), _Person(rng), _distractor(rng, length)
    frames = []
    for k in range(length):
        dx, dy = rng.normal(0, shake, 2) if shake else (0.0, 0.0)
        view = _view(photo, x + drift * k + dx, y + dy, width / zoom**k)
        frames.append(distract(person.on(view, k), k))
    return frames


_PHOTOS = ("astronaut", "coffee", "chelsea", "rocket", "camera", "coins", "brick", "grass")


@lru_cache
def _photo(name: str) -> Image:
    photo = np.atleast_3d(getattr(data, name)())
    return (
        np.repeat(photo, 3, axis=2).astype(np.float32) if photo.shape[2] == 1 else photo[:, :, ::-1].astype(np.float32)
    )


def _view(photo: Image, x: float, y: float, width: float) -> Image:
    scale = SIZE[0] / width
    move = np.array([[scale, 0, SIZE[0] / 2 - scale * x], [0, scale, SIZE[1] / 2 - scale * y]], np.float32)
    return cv2.warpAffine(photo, move, SIZE, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


class _Person:
    """A head and shoulders that sway before the background."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._x, self._size, self._colour = rng.uniform(90, 230), rng.uniform(25, 55), rng.uniform(30, 220, 3)
        self._sway, self._rate, self._phase = rng.uniform(2, 14), rng.uniform(0.1, 0.3), rng.uniform(0, 6)

    def on(self, view: Image, k: int) -> Image:
        x, y = int(self._x + self._sway * np.sin(self._phase + self._rate * k)), 80
        size, skin = int(self._size), tuple(float(c) for c in 0.5 * self._colour + 90)
        cv2.ellipse(view, (x, y + 2 * size), (int(1.5 * size), size), 0, 0, 360, tuple(map(float, self._colour)), -1)
        cv2.ellipse(view, (x, y), (int(0.75 * size), size), 0, 0, 360, skin, -1)
        return view


def _distractor(rng: np.random.Generator, length: int) -> Callable[[Image, int], Image]:
    kind, at = rng.integers(0, 6), int(rng.integers(8, length - 8))
    if kind == 0:  # a lamp goes on
        return lambda view, k: view * (1.6 if k >= at else 1.0)
    if kind == 1:  # somebody passes close to the camera

        def passing(view: Image, k: int) -> Image:
            left = int(14 * (k - at))
            cv2.rectangle(view, (left, 20), (left + 70, SIZE[1]), (40.0, 50.0, 60.0), -1)
            return view

        return passing
    if kind == 2:  # the exposure follows slowly
        return lambda view, k: view * (0.7 + 0.6 * k / length)
    return lambda view, k: view
