"""Recordings in which it is hard to say who is who: look-alikes, crossings, cuts, darkness, blur, low bit rates."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.support.drawn.looks import Look
from tests.support.drawn.scenes import Drawing, Light, Motion, Shot, eased, moving, seated

KINDS = ("talk", "crossing", "meeting", "cuts", "singles", "leaving", "exchange", "passer-by", "stand-in")
LIGHTS = (
    ("good", Light(), 20),
    ("good", Light(), 26),
    ("dark", Light(level=0.12, noise=2.5), 24),
    ("blurred", Light(blur=0.006), 26),
    ("low rate", Light(), 40),
)
LIKENESS = (*[1.0] * 6, *[0.7] * 4, 0.45, 0.45, 0.25, 0.0)  # differences of the two faces
TWINS = 0.3  # with a smaller difference nobody can tell the two apart unless they are seen together


def drawing(seed: int) -> tuple[str, Drawing]:
    """Return words for a hard recording, and the recording; equal for equal seeds.

    Twins who are never seen together are left out.
    """
    rng = np.random.default_rng([seed, 11])
    kind = KINDS[seed % len(KINDS)]
    difference = float(rng.choice(LIKENESS if kind != "singles" else [d for d in LIKENESS if d >= TWINS]))
    light_name, light, crf = LIGHTS[int(rng.integers(len(LIGHTS)))]
    looks = _looks(rng, difference)
    shots = _SHOTS[kind](rng)
    words = f"{kind}, {light_name}, faces {difference:.2f} apart"
    return words, Drawing(shots, looks, light=light, crf=crf, seed=seed)


def _looks(rng: np.random.Generator, difference: float) -> dict[str, Look]:
    """A and B differ in their faces by ``difference``, with 1 in their builds as well; C is a third person."""
    base = rng.uniform(0, 1 - difference)
    faces, builds = [base, base + difference], [-0.8, 0.4] if difference == 1 else [0.0, 0.0]
    order = rng.permutation(2)
    bodies = rng.permutation(["collins", "hopper"]) if rng.random() < 0.7 else [rng.choice(["collins", "hopper"])] * 2
    looks = {
        name: Look(round(faces[n], 2), builds[n], str(body), clothes=int(rng.integers(0, 6)) * 60)
        for name, n, body in zip("AB", order, bodies, strict=True)
    }
    third = Look(0.5, 1.0, str(rng.choice(["collins", "hopper"])), mirrored=True, clothes=120, tone=4)
    return looks | {"C": third}


def _seats(rng: np.random.Generator) -> tuple[float, float, float, float, int]:
    """Two places, two sizes, and a seed for motion."""
    size = float(rng.uniform(0.16, 0.3))
    return (
        float(rng.uniform(0.2, 0.36)),
        float(rng.uniform(0.64, 0.8)),
        size,
        size * float(rng.uniform(0.85, 1.15)),
        int(rng.integers(100)),
    )


def _two_shot(rng: np.random.Generator, seconds: float, room: int, *, exchanged: bool = False) -> Shot:
    a, b, size_a, size_b, seed = _seats(rng)
    if exchanged:
        a, b = b, a
    turn = float(rng.uniform(-0.2, 0.9)) * (-1 if exchanged else 1)  # towards each other
    return Shot(
        seconds,
        room,
        {"A": seated(a, size=size_a, seed=seed, turn=turn), "B": seated(b, size=size_b, seed=seed + 1, turn=-turn)},
    )


def _single(rng: np.random.Generator, name: str, seconds: float, room: int) -> Shot:
    x = float(rng.uniform(0.35, 0.65))
    turn = float(rng.uniform(-0.7, 0.7))
    motion = seated(x, 0.45, float(rng.uniform(0.28, 0.45)), seed=int(rng.integers(100)), turn=turn)
    return Shot(seconds, room, {name: motion})


def _talk(rng: np.random.Generator) -> list[Shot]:
    return [_two_shot(rng, 6, int(rng.integers(1000)))]


def _crossing(rng: np.random.Generator) -> list[Shot]:
    """They change places once or twice; the pair may stop in the middle."""
    a, b, size_a, size_b, seed = _seats(rng)
    start, length, pause = float(rng.uniform(1, 2)), float(rng.uniform(0.7, 2)), float(rng.choice([0, 0, 0.8]))
    back = rng.random() < 0.4

    def share(t: float) -> float:
        u = (t - start) / length
        if pause and u > 0.5:
            u = max(0.5, u - pause / length)
        forth = eased(0, 1, u)
        return forth - eased(0, 1, (t - start - length - pause - 0.8) / length) if back else forth

    front = moving(lambda t: (a + (b - a) * share(t), 0.42, size_a * 1.1), seed=seed)
    behind = moving(lambda t: (b + (a - b) * share(t), 0.40, size_b), seed=seed + 1)
    return [Shot(start + (2 if back else 1) * length + pause + 2.5, int(rng.integers(1000)), {"B": behind, "A": front})]


def _meeting(rng: np.random.Generator) -> list[Shot]:
    """They come together, stay a while, and part to either side."""
    a, b, size_a, size_b, seed = _seats(rng)
    other = rng.random() < 0.5
    near, gap = float(rng.uniform(0.45, 0.55)), float(rng.uniform(0.0, 0.12))
    until = float(rng.uniform(2.5, 4))

    def path(home: float, end: float, meet: float) -> Callable[[float], float]:
        return lambda t: eased(home, meet, (t - 1) / 0.9) + eased(0, end - meet, (t - until) / 0.9)

    at_a = path(a, b if other else a, near - gap / 2)
    at_b = path(b, a if other else b, near + gap / 2)
    people: dict[str, Motion] = {
        "B": moving(lambda t: (at_b(t), 0.40, size_b), seed=seed + 1),
        "A": moving(lambda t: (at_a(t), 0.42, size_a), seed=seed),
    }
    return [Shot(until + 3, int(rng.integers(1000)), people)]


def _cuts(rng: np.random.Generator) -> list[Shot]:
    """A two-shot, close-ups, and two-shots from the same or the other side."""
    room = int(rng.integers(1000))
    shots = [_two_shot(rng, 2.5, room)]
    for n in range(int(rng.integers(2, 4))):
        shots.append(_single(rng, str(rng.choice(["A", "B"])), float(rng.uniform(1.2, 2)), room + n + 1))
    return [*shots, _two_shot(rng, 2, room + 9, exchanged=rng.random() < 0.3)]


def _singles(rng: np.random.Generator) -> list[Shot]:
    """The two are never seen together."""
    room, order = int(rng.integers(1000)), rng.permutation(["A", "B"])
    return [_single(rng, str(order[n % 2]), float(rng.uniform(1.3, 2.2)), room + n % 2) for n in range(4)]


def _leaving(rng: np.random.Generator) -> list[Shot]:
    """One leaves and comes back, perhaps from the other side."""
    a, b, size_a, size_b, seed = _seats(rng)
    left_again = rng.random() < 0.5

    def path(t: float) -> tuple[float, float, float] | None:
        if t < 3.5:
            return (eased(b, 1.25, (t - 1.5) / 1.2), 0.42, size_b)
        return (eased(1.25 if left_again else -0.25, b if left_again else 0.06, (t - 3.5) / 1.2), 0.42, size_b)

    people: dict[str, Motion] = {"A": seated(a + 0.1, size=size_a, seed=seed), "B": moving(path, seed=seed + 1)}
    return [Shot(7, int(rng.integers(1000)), people)]


def _exchange(rng: np.random.Generator) -> list[Shot]:
    """A cut, behind which the two may have changed places."""
    room = int(rng.integers(1000))
    return [_two_shot(rng, 3, room), _two_shot(rng, 3, room + 1, exchanged=rng.random() < 0.5)]


def _passer_by(rng: np.random.Generator) -> list[Shot]:
    """Somebody else walks through, in front of the two or behind them."""
    shot = _two_shot(rng, 7, int(rng.integers(1000)))
    size = float(rng.uniform(0.12, 0.34))
    walk = moving(lambda t: (eased(-0.2, 1.2, (t - 1.5) / 3.5), 0.4, size), seed=3)
    people = {**shot.people, "C": walk} if size > 0.22 else {"C": walk, **shot.people}
    return [Shot(7, shot.room, people)]


def _stand_in(rng: np.random.Generator) -> list[Shot]:
    """A two-shot, then somebody else alone, then the two again."""
    room = int(rng.integers(1000))
    return [_two_shot(rng, 3, room), _single(rng, "C", 1.5, room + 1), _two_shot(rng, 2.5, room + 2)]


_SHOTS: dict[str, Callable[[np.random.Generator], list[Shot]]] = {
    "talk": _talk,
    "crossing": _crossing,
    "meeting": _meeting,
    "cuts": _cuts,
    "singles": _singles,
    "leaving": _leaving,
    "exchange": _exchange,
    "passer-by": _passer_by,
    "stand-in": _stand_in,
}
