"""Synthetic recordings: faces on paths, seen as a detector sees them, with embeddings like those of real faces.

Distances between embeddings follow the ones measured on real faces: about 0.3 for one person, 0.8 for two.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from engines.frames import Rect
from pipeline.identity.followed_head import HeadEyes
from pipeline.identity.resolver import PeopleResolver
from pipeline.people import Face, Observation, Scene
from pipeline.settings import IdentitySettings

WIDTH, HEIGHT = 1920, 1080
Path = Callable[[float], tuple[float, float] | None]
ON_FACE = ((0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8))


@dataclass
class Actor:
    """One person: a path of the face's centre (None: out of the frame), its height, and who hides whom."""

    name: str
    path: Path
    height: float = 200.0
    depth: int = 0  # nearer faces, with smaller numbers, hide others
    score: float = 0.92
    away: Sequence[tuple[float, float]] = ()  # spans in which the face is turned away
    zoom: Callable[[float], float] = lambda t: 1.0
    motion: float = 0.02  # of the features, in heights of the face: 0 for a picture, whose box is steady as well
    slow: float = 1.0  # share of the motion that is no noise
    rest_s: float = 0.0  # until then the features do not move
    nose: float = 0.5  # where the nose is across the face: away from the middle for a turned head

    def box(self, t: float) -> Rect | None:
        at = self.path(t)
        if at is None:
            return None
        h = self.height * self.zoom(t)
        return Rect(at[0] - 0.38 * h, at[1] - h / 2, 0.76 * h, h)

    def visible(self, t: float) -> bool:
        return self.box(t) is not None and not any(a <= t < b for a, b in self.away)


@dataclass
class Recording:
    """Observations of some actors, an embedder for their faces, and the truth."""

    actors: Sequence[Actor]
    seconds: float = 8.0
    fps: float = 30.0
    detector_hz: float = 10.0
    cuts: Sequence[float] = ()
    seed: int = 7
    likeness: float = 0.8  # distance between two people's mean embeddings
    noise: float = 0.02  # of each component of an embedding
    observations: list[Observation] = field(default_factory=list)
    embedded: list[int] = field(default_factory=list)  # pts of frames that were embedded

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)
        self._motion_rng = np.random.default_rng([self.seed, 1])
        self._owner: dict[tuple[int, float], str] = {}
        names = sorted({a.name for a in self.actors} | {"A", "B"})
        self._mean = {n: _axis(i) * self.likeness / math.sqrt(2) for i, n in enumerate(names)}
        last_t, previous_t = -1e9, -1.0
        for i in range(round(self.seconds * self.fps)):
            t = i / self.fps
            cut = any(previous_t < c <= t for c in self.cuts) and i > 0
            previous_t = t
            faces = None
            if cut or t - last_t >= 1 / self.detector_hz - 1e-6:
                faces, last_t = self._faces(i, t), t
            self.observations.append(Observation(i, t, faces, cut))

    def resemble(self, name: str, other: str, distance: float) -> None:
        """Let somebody's mean embedding be this far from somebody else's."""
        self._mean[name] = self._mean[other] + distance * _axis(len(self._mean))

    def embed(self, pairs: Sequence[tuple[int, Face]]) -> NDArray[np.float32]:
        """A person's mean embedding and some noise: deterministic for a face of a frame."""
        self.embedded += [pts for pts, _ in pairs[:1]]
        return np.array([self._embedding(pts, face) for pts, face in pairs], dtype=np.float32)

    def truth(self, scene: Scene) -> dict[str, Rect]:
        return {a.name: box for a in self.actors if (box := a.box(scene.t)) and a.visible(scene.t) and _inside(box)}

    def _movement(self, actor: Actor, t: float, part: int) -> float:
        """A slow movement of one part of the face, and some noise."""
        noise = 0.4 * float(self._motion_rng.normal())
        if t < actor.rest_s:
            return 0.0
        return actor.slow * 1.3 * math.sin((1.1 + 0.3 * part) * t + part) + noise

    def _embedding(self, pts: int, face: Face) -> NDArray[np.float64]:
        noise = np.random.default_rng([pts, round(face.box.x * 16) % 2**31]).normal(0, self.noise, 128)
        return self._mean[self._owner[pts, face.box.x]] + noise

    def _faces(self, pts: int, t: float) -> tuple[Face, ...]:
        seen = [(a, box) for a in self.actors if (box := a.box(t)) and a.visible(t)]
        found = [self._face(pts, a, box) for a, box in seen if not _hidden(a, box, seen) and _inside(box)]
        return tuple(found[i] for i in self._rng.permutation(len(found)))

    def _face(self, pts: int, actor: Actor, box: Rect) -> Face:
        t = pts / self.fps
        rests = not actor.motion or t < actor.rest_s
        dx, dy, dw, dh = (float(v) for v in self._rng.normal(0, 0.002 if rests else 0.015, 4))
        w, h = box.w * (1 + dw), box.h * (1 + dh)
        noisy = Rect(box.cx - w / 2 + dx * w, box.cy - h / 2 + dy * h, w, h)
        self._owner[pts, noisy.x] = actor.name
        on_face = ((actor.nose, v) if u == 0.5 else (u, v) for u, v in ON_FACE)
        on_face = [(u, v + actor.motion * self._movement(actor, t, part)) for part, (u, v) in enumerate(on_face)]
        points = tuple((noisy.x + u * w, noisy.y + v * h) for u, v in on_face)
        return Face(noisy, actor.score, points)


def resolver(
    recording: Recording | None,
    *,
    embed: bool = True,
    assignment: str = "identity",
    eyes: HeadEyes | None = None,
    **settings: object,
) -> PeopleResolver:
    return PeopleResolver(
        IdentitySettings(**settings),
        assignment=assignment,
        lookahead_s=0.7,
        width=WIDTH,
        height=HEIGHT,
        embed=recording.embed if embed and recording else None,
        eyes=eyes,
    )


def play(recording: Recording, people: PeopleResolver | None = None, batch: int = 8, **options: object) -> list[Scene]:
    """All scenes of a recording."""
    people = people or resolver(recording, **options)
    scenes = []
    for i in range(0, len(recording.observations), batch):
        scenes += people.observe(recording.observations[i : i + batch])
    return scenes + people.finish()


def wrong(recording: Recording, scenes: Sequence[Scene], left: str = "A", right: str = "B") -> list[int]:
    """Indices of scenes in which a tile's box lies on somebody else than it should."""
    sides = (("left", left), ("right", right))
    return [i for i, s in enumerate(scenes) if any(_is_wrong(recording, s, side, name) for side, name in sides)]


def missing(recording: Recording, scenes: Sequence[Scene], left: str = "A", right: str = "B") -> list[int]:
    """Indices of scenes in which a visible person has no box."""

    def lacks(scene: Scene, side: str, name: str) -> bool:
        seen = getattr(scene, side)
        return name in recording.truth(scene) and (seen is None or seen.box is None)

    return [i for i, s in enumerate(scenes) if lacks(s, "left", left) or lacks(s, "right", right)]


def line(*points: tuple[float, float, float]) -> Path:
    """A path through (t, x, y), straight and even; None before the first and after the last."""

    def at(t: float) -> tuple[float, float] | None:
        for (t0, x0, y0), (t1, x1, y1) in pairwise(points):
            if t0 <= t < t1:
                u = (t - t0) / (t1 - t0)
                u = u * u * (3 - 2 * u)
                return x0 + u * (x1 - x0), y0 + u * (y1 - y0)
        return None

    return at


def still(x: float, y: float = 420.0) -> Path:
    """A seated person, who sways a little."""
    return lambda t: (x + 12 * math.sin(1.3 * t), y + 6 * math.sin(1.9 * t))


def _is_wrong(recording: Recording, scene: Scene, side: str, name: str) -> bool:
    seen = getattr(scene, side)
    if seen is None or seen.box is None:
        return False
    own = next(a.box(scene.t) for a in recording.actors if a.name == name)
    if own is not None and _near(seen.box, own):
        return False
    return any(_near(seen.box, box) for n, box in recording.truth(scene).items() if n != name)


def _near(a: Rect, b: Rect) -> bool:
    return abs(a.cx - b.cx) < 0.6 * b.w and abs(a.cy - b.cy) < 0.6 * b.h


def _hidden(actor: Actor, box: Rect, seen: Sequence[tuple[Actor, Rect]]) -> bool:
    return any(
        other.depth < actor.depth and abs(o.cx - box.cx) < 0.55 * o.w and abs(o.cy - box.cy) < 0.6 * o.h
        for other, o in seen
        if other is not actor
    )


def _inside(box: Rect) -> bool:
    return -0.4 * box.w < box.x < WIDTH - 0.6 * box.w and -0.4 * box.h < box.y < HEIGHT - 0.6 * box.h


def _axis(i: int) -> NDArray[np.float64]:
    return np.eye(128)[i]
