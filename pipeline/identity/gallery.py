"""The gallery of a person: embeddings of the face from several directions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.identity.appearance import scatter
from pipeline.identity.head_pose import direction

ENOUGH_VIEWS = 3  # of about one direction
MIN_VIEW_DISTANCE = 0.12  # a view nearer than this to a known one is redundant
TURNED, IN_PROFILE = 0.45, 0.70  # yaw from which a view is less like the others, and from which not at all
PROFILE_SEPARATION = 0.08  # squared distance between two views of one face, one of which is in profile


@dataclass(frozen=True, slots=True)
class GalleryEntry:
    """One embedding of a person's face, the direction of the head, and the tracklet that it came from."""

    yaw: float
    tracklet: int
    vector: list[float]


class Gallery:
    """A person's views: several for each direction of the head, of which the first one is permanent."""

    def __init__(self, per_direction: int) -> None:
        self._per_direction = per_direction
        self.views: list[GalleryEntry] = []
        self.offered = 0  # views so far, redundant ones included

    def distance(self, vector: Sequence[float]) -> float | None:
        """Return the mean Euclidean distance to the two nearest views; None for an empty gallery."""
        nearest = sorted(math.dist(vector, v.vector) for v in self.views)[:2]
        return sum(nearest) / len(nearest) if nearest else None

    def separation(self, yaw: float, vector: Sequence[float]) -> float | None:
        """Return the squared distance from the mean view, without the views' own scatter; None for an empty gallery.

        Where there are enough views of about the same direction of the head, only they are compared.
        """
        near = [v for v in self.views if abs(direction(v.yaw) - direction(yaw)) <= 1]
        views = near if len(near) >= ENOUGH_VIEWS else self.views
        if not views:
            return None
        square = sum(math.dist(vector, v.vector) ** 2 - _profile(v.yaw, yaw) for v in views) / len(views)
        return square - scatter([v.vector for v in views]) / 2

    def has(self, yaw: float) -> bool:
        """Return whether there is a view of this direction of the head."""
        return any(direction(v.yaw) == direction(yaw) for v in self.views)

    def add(self, view: GalleryEntry) -> None:
        """Add a view unless it is redundant; it replaces the second oldest one of a direction that is full."""
        self.offered += 1
        same = [v for v in self.views if direction(v.yaw) == direction(view.yaw)]
        if any(math.dist(view.vector, v.vector) < MIN_VIEW_DISTANCE for v in same):
            return
        if len(same) >= self._per_direction:
            self.views.remove(same[min(1, len(same) - 1)])
        self.views.append(view)

    def take(self, tracklet: int) -> list[GalleryEntry]:
        """Remove and return the views of a tracklet, which turned out to be somebody else's."""
        taken = [v for v in self.views if v.tracklet == tracklet]
        self.views = [v for v in self.views if v.tracklet != tracklet]
        return taken

    def clear(self) -> None:
        self.views, self.offered = [], 0

    def state(self) -> dict[str, Any]:
        return {"views": [[v.yaw, v.tracklet, v.vector] for v in self.views], "offered": self.offered}

    def restore(self, state: dict[str, Any]) -> None:
        self.views = [GalleryEntry(float(yaw), int(k), list(vector)) for yaw, k, vector in state["views"]]
        self.offered = int(state["offered"])


def _profile(a: float, b: float) -> float:
    """Return the part of the squared distance between two views that their directions explain."""
    turned = [min(1.0, max(0.0, (abs(yaw) - TURNED) / (IN_PROFILE - TURNED))) for yaw in (a, b)]
    alike = a * b > 0 and min(turned) == 1
    return 0.0 if alike else PROFILE_SEPARATION * max(turned)
