"""Whether a face moves its features: those of posters, photographs and frozen streams do not."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from pipeline.people import Face

STILL_S = 3.0  # a face must be seen for so long to be called still ...
STILL_HITS = 15  # ... in so many detections
STILL_SPREAD = 0.008  # eye distances: features of living faces move more


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
    def is_still(self) -> bool:
        """Whether the face has been seen for long enough without any motion of its features."""
        if self.hits < STILL_HITS or self.seen_s - self.begun_s < STILL_S:
            return False
        slow = [s / self.hits - d / (self.hits - 1) / 2 for s, d in zip(self.squares, self.steps, strict=True)]
        return sum(math.sqrt(max(0.0, v)) for v in slow) / len(slow) < STILL_SPREAD
