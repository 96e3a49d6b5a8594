"""Whether a face moves its features: those of posters, photographs and frozen streams do not."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pipeline.people import Face

STILL_S = 3.0  # a face must be seen for so long to be called still ...
STILL_HITS = 15  # ... in so many detections
STILL_SPREAD = 0.008  # eye distances: features of living faces move more
MOTIONLESS = STILL_SPREAD / 2  # eye distances: hardly any living face moves so little in half a second
FIRST_HITS = 4  # detections that give a first impression
MEMORY_S = 3.0  # the motion of a face that is not seen is remembered for this long


def features(face: Face) -> list[float]:
    """Return nose and mouth corners relative to the eyes, (6,), in eye distances, whatever place, size and roll."""
    (rx, ry), (lx, ly), *rest = face.landmarks
    ex, ey, cx, cy = lx - rx, ly - ry, (rx + lx) / 2, (ry + ly) / 2
    square = max(1.0, ex * ex + ey * ey)
    along = [((x - cx) * ex + (y - cy) * ey) / square for x, y in rest]
    across = [((y - cy) * ex - (x - cx) * ey) / square for x, y in rest]
    return along + across


@dataclass(slots=True)
class FeatureMotion:
    """Running variance of the features of one face (Welford 1962), without the detector's noise.

    Heads move slowly, while noise, as of a dark picture, differs from one detection to the next. Half of the mean
    squared successive difference is the variance of the noise (von Neumann 1941).
    """

    begun_s: float
    hits: int = 0
    seen_s: float = -1.0
    mean: list[float] = field(default_factory=lambda: [0.0] * 6)
    squares: list[float] = field(default_factory=lambda: [0.0] * 6)
    latest: list[float] = field(default_factory=list)
    steps: list[float] = field(default_factory=lambda: [0.0] * 6)  # sums of squared successive differences

    def add(self, t: float, values: list[float]) -> None:
        self.hits, self.seen_s = self.hits + 1, t
        for i, value in enumerate(values):
            step = value - self.mean[i]
            self.mean[i] += step / self.hits
            self.squares[i] += step * (value - self.mean[i])
            if self.latest:
                self.steps[i] += (value - self.latest[i]) ** 2
        self.latest = values

    @property
    def spread(self) -> float | None:
        """The mean deviation of the features so far, noise included, in eye distances; None at the very beginning."""
        return (
            sum(math.sqrt(s / self.hits) for s in self.squares) / len(self.squares) if self.hits >= FIRST_HITS else None
        )

    @property
    def is_judged(self) -> bool:
        """Whether the face has been seen for long enough to tell whether it is still."""
        return self.hits >= STILL_HITS and self.seen_s - self.begun_s >= STILL_S

    @property
    def is_still(self) -> bool:
        """Whether the face has been seen for long enough without any motion of its features."""
        if not self.is_judged:
            return False
        slow = [s / self.hits - d / (self.hits - 1) / 2 for s, d in zip(self.squares, self.steps, strict=True)]
        return sum(math.sqrt(max(0.0, v)) for v in slow) / len(slow) < STILL_SPREAD


class FaceMotions:
    """The motion of all faces in the latest frames, by track."""

    def __init__(self) -> None:
        self._motions: dict[int, FeatureMotion] = {}

    def observe(self, t: float, seen: Mapping[int, list[float]]) -> None:
        """Take the features of the faces of a frame, by track."""
        self._motions = {track: m for track, m in self._motions.items() if t - m.seen_s <= MEMORY_S}
        for track, values in seen.items():
            self._motions.setdefault(track, FeatureMotion(t)).add(t, values)

    def is_still(self, track: int) -> bool:
        """Return whether this is the face of a poster or a photograph."""
        motion = self._motions.get(track)
        return motion is not None and motion.is_still

    def is_living(self, track: int) -> bool:
        """Return whether the face has been seen for long enough to tell that it is no picture."""
        motion = self._motions.get(track)
        return motion is not None and motion.is_judged and not motion.is_still

    def moves(self, track: int, spread: float) -> bool:
        """Return whether a face has moved its features by this much so far, in eye distances, as far as one can say."""
        motion = self._motions.get(track)
        return motion is None or motion.spread is None or motion.spread >= spread

    def state(self) -> list[list[Any]]:
        return [[track, asdict(m)] for track, m in self._motions.items()]

    def restore(self, state: list[list[Any]]) -> None:
        self._motions = {int(track): FeatureMotion(**m) for track, m in state}
