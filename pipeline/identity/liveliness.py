"""Whether a face moves its features: those of posters, photographs and frozen streams do not."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from pipeline.people import Face

STILL_S = 3.0  # a face must be seen for so long to be called still ...
STILL_HITS = 10  # ... in so many detections
STILL_SPREAD = 0.009  # eye distances: features of living faces move more, those of pictures only by noise


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
    """Running mean and variance of the features of one face (Welford 1962)."""

    begun_s: float
    hits: int = 0
    seen_s: float = -1.0
    mean: list[float] = field(default_factory=lambda: [0.0] * 6)
    squares: list[float] = field(default_factory=lambda: [0.0] * 6)

    def add(self, t: float, values: list[float]) -> None:
        self.hits, self.seen_s = self.hits + 1, t
        for i, value in enumerate(values):
            step = value - self.mean[i]
            self.mean[i] += step / self.hits
            self.squares[i] += step * (value - self.mean[i])

    @property
    def is_still(self) -> bool:
        """Whether the face has been seen for long enough without any motion of its features."""
        if self.hits < STILL_HITS or self.seen_s - self.begun_s < STILL_S:
            return False
        return sum(math.sqrt(s / self.hits) for s in self.squares) / len(self.squares) < STILL_SPREAD
