"""Recordings of two people under the conditions that phones, lenses, rooms and people bring."""

from __future__ import annotations

from tests.support.drawn.looks import Look
from tests.support.drawn.scenes import Drawing, Light, Shot, seated

COLLINS, HOPPER = Look(), Look(1.0, body="hopper")
DARK, DARKER = Look(tone=5), Look(1.0, body="hopper", tone=5)
LOW_LIGHT = Light(level=0.1, noise=2.5)


def pair(a: Look = COLLINS, b: Look = HOPPER, *, seconds: float = 1.5, **fields: object) -> Drawing:
    """A is on the left, B on the right; both talk."""
    people = {"A": seated(0.3, seed=1), "B": seated(0.7, size=0.24, seed=2)}
    return Drawing([Shot(seconds, 3, people)], {"A": a, "B": b}, **fields)


def _places(a: tuple[float, float, float], b: tuple[float, float, float], **fields: object) -> Drawing:
    """The same with x, y and size of each, in parts of the frame."""
    people = {"A": seated(*a, seed=1), "B": seated(*b, seed=2)}
    return Drawing([Shot(1.5, 3, people)], {"A": COLLINS, "B": HOPPER}, **fields)


CONDITIONS = {
    "half a second": pair(seconds=0.5, fps=24),
    "one second": pair(seconds=1.0, fps=24),
    "two seconds": pair(seconds=2.0),
    "5 frames a second": pair(seconds=3.0, fps=5),
    "10 frames a second": pair(fps=10),
    "60 frames a second": pair(seconds=1.0, fps=60),
    "120 frames a second": pair(seconds=0.8, fps=120),
    "portrait phone": _places((0.27, 0.4, 0.13), (0.74, 0.42, 0.14), size=(360, 640)),
    "portrait phone, turned by metadata": _places((0.27, 0.4, 0.13), (0.74, 0.42, 0.14), size=(360, 640), rotation=90),
    "edge of a fisheye": _places((0.12, 0.45, 0.2), (0.88, 0.45, 0.2), fisheye=0.35),
    "masks": pair(Look(worn="mask"), Look(1.0, body="hopper", worn="mask")),
    "glasses": pair(Look(worn="glasses"), Look(1.0, body="hopper", worn="glasses")),
    "a small child below": _places((0.32, 0.72, 0.11), (0.66, 0.3, 0.2)),
    "two children, far away": _places((0.4, 0.6, 0.07), (0.58, 0.62, 0.075), size=(1280, 720)),
    "dark skin in low light": pair(DARK, DARKER, light=LOW_LIGHT),
    "dark and light skin in low light": pair(DARK, Look(1.0, body="hopper", tone=0), light=LOW_LIGHT),
    "strong back light": pair(light=Light(level=0.06, background=16, noise=2)),
    "dark skin against the light": pair(DARK, DARKER, light=Light(level=0.06, background=16, noise=2)),
}
