"""Faces of all skin tones, alike in everything else, under several lights, and which of them the detector finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from engines.frames import Rect
from pipeline.detection.face_detector import FaceFinder
from pipeline.settings import IdentitySettings
from tests.support.drawn.heads import Pose
from tests.support.drawn.looks import Look
from tests.support.drawn.scenes import Drawing, Light, Motion, Shot
from tests.support.drawn.skin import TONES
from tests.support.still_images import nv12

LIGHTS = {
    "full": Light(),
    "1/4": Light(level=1 / 4, noise=2),
    "1/10": Light(level=1 / 10, noise=2),
    "1/25": Light(level=1 / 25, noise=2),
    "1/50": Light(level=1 / 50, noise=2),
    "back light": Light(level=0.06, background=16, noise=2),
}
_LOOKS = tuple(
    Look(face, build, body) for face, build in ((0.0, 0.0), (1.0, 0.0), (0.0, -0.8)) for body in ("collins", "hopper")
)
_HIGH_SCORE = float(IdentitySettings().high_score)


def drawings(light: Light, seeds: Sequence[int]) -> Iterator[list[Drawing]]:
    """For each seed, stills of two faces that differ in nothing but the tone of their skin, one for each tone."""
    for seed in seeds:
        rng = np.random.default_rng([seed, 3])
        poses = {name: _pose(rng, x) for name, x in (("A", 0.28), ("B", 0.72))}
        looks = {name: _LOOKS[int(rng.integers(len(_LOOKS)))] for name in "AB"}
        shot = Shot(1, seed, {name: _standing(pose) for name, pose in poses.items()})
        yield [
            Drawing(
                [shot], {name: replace(look, tone=tone) for name, look in looks.items()}, light=light, seed=seed, fps=1
            )
            for tone in range(len(TONES))
        ]


def missed(finder: FaceFinder, drawing: Drawing) -> int:
    """Return how many of the two faces the detector does not find well enough to begin a track."""
    (image,) = drawing.frames()
    (faces,) = finder.find([nv12(image)])
    good = [face.box for face in faces if face.score >= _HIGH_SCORE]
    return sum(not any(_is_near(box, truth) for box in good) for truth in drawing.truth(0).values())


def miss_rates(finder: FaceFinder, light: Light, seeds: Sequence[int]) -> list[float]:
    """Return the share of faces missed, for each tone."""
    counts = np.array([[missed(finder, drawing) for drawing in tones] for tones in drawings(light, seeds)])
    return [float(share) for share in counts.mean(axis=0) / 2]


def _pose(rng: np.random.Generator, x: float) -> Pose:
    return Pose(
        x + float(rng.uniform(-0.06, 0.06)),
        float(rng.uniform(0.35, 0.5)),
        float(np.exp(rng.uniform(np.log(0.08), np.log(0.32)))),
        turn=float(rng.uniform(-0.8, 0.8)),
        mouth=float(rng.choice([0.0, 1.0])),
        lean_deg=float(rng.uniform(-12, 12)),
    )


def _standing(pose: Pose) -> Motion:
    return lambda t: pose


def _is_near(box: Rect, truth: Rect) -> bool:
    return abs(box.cx - truth.cx) < truth.w / 2 and abs(box.cy - truth.cy) < truth.h / 2
