"""Groups in which two people are meant: others are seldom seen, farther away, turned aside, or pictures."""

from __future__ import annotations

from tests.support.drawn.looks import Look
from tests.support.drawn.scenes import Drawing, Light, Motion, Shot, eased, moving, seated

GOOD = Light()
LOOKS = {
    "A": Look(0.0, -0.8),
    "B": Look(1.0, 0.4, "hopper"),
    "C": Look(0.5, 1.0, mirrored=True, clothes=120, tone=4),
    "D": Look(0.5, -1.0, "hopper", clothes=240, tone=2),
}


def _group(seconds: float, *, light: Light = GOOD, **people: Motion) -> Drawing:
    """Everybody in one shot, those behind first."""
    return Drawing([Shot(seconds, 4, people)], LOOKS, light=light)


GROUPS = {
    "three, of whom one sits farther away": _group(
        5.0, C=seated(0.5, 0.3, 0.13, seed=3), A=seated(0.2, seed=1), B=seated(0.8, seed=2)
    ),
    "three, of whom one looks at the others": _group(
        6.0, C=seated(0.5, size=0.24, seed=3, turn=0.9), A=seated(0.2, seed=1), B=seated(0.8, seed=2)
    ),
    "four, of whom two sit behind": _group(
        5.0,
        C=seated(0.4, 0.28, 0.11, seed=3),
        D=seated(0.62, 0.3, 0.12, seed=4),
        A=seated(0.2, seed=1),
        B=seated(0.82, seed=2),
    ),
    "somebody larger comes for a while": _group(
        7.0,
        A=seated(0.24, 0.45, 0.2, seed=1),
        B=seated(0.76, 0.45, 0.2, seed=2),
        C=moving(
            lambda t: (eased(1.3, 0.5, (t - 3) / 1) if t < 5 else eased(0.5, -0.3, (t - 5.5) / 1), 0.42, 0.3), seed=3
        ),
    ),
    "somebody larger is there at first": _group(
        7.0,
        A=seated(0.24, 0.45, 0.2, seed=1),
        B=seated(0.76, 0.45, 0.2, seed=2),
        C=moving(lambda t: (eased(0.5, -0.3, (t - 1.5) / 1), 0.42, 0.3) if t < 2.6 else None, seed=3),
    ),
    "a poster larger than the people": _group(
        6.5, C=seated(0.5, 0.34, 0.34, alive=False), A=seated(0.2, 0.5, 0.2, seed=1), B=seated(0.8, 0.5, 0.2, seed=2)
    ),
    "a photograph on the wall": _group(
        5.0, C=seated(0.5, 0.2, 0.12, alive=False), A=seated(0.22, seed=1), B=seated(0.78, 0.45, 0.16, seed=2)
    ),
    "a poster in low light": _group(
        6.5,
        light=Light(level=0.15, noise=3),
        C=seated(0.5, 0.36, 0.3, alive=False),
        A=seated(0.2, 0.5, 0.2, seed=1),
        B=seated(0.8, 0.5, 0.2, seed=2),
    ),
}
SETTLED_S = 5.0  # by which a first choice must have been corrected
