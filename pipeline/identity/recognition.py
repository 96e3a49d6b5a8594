"""Recognition of faces: galleries of the two people, and the choice of faces to embed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from engines.errors import ExplainedError
from pipeline.identity.tracklets import STRANGER, UNDECIDED, TrackedFace, Tracklet
from pipeline.people import Face
from pipeline.settings import IdentitySettings

Embedder: TypeAlias = Callable[[Sequence[tuple[int, Face]]], NDArray[np.float32]]

YAW_EDGES = (-0.35, -0.12, 0.12, 0.35)  # offset of the nose from the middle of the eyes, in eye distances
PROFILE = 0.75  # beyond this yaw the far eye's landmark is unreliable
MIN_SCORE = 0.6
FIRST_VIEWS = 6  # a gallery is young before this many views
VIEW_S = 0.25  # between two embeddings of a tracklet after the first ones
FIRST_EMBEDDINGS, MAX_EMBEDDINGS = 2, 5  # of an undecided tracklet: without a pause, and in total
DECISIVE = 6.0  # nats between the two people that need no further embedding
MIN_ENROL_NATS = 3.0  # margin from which a face's views enter a gallery
MIN_VIEW_DISTANCE = 0.12  # a view nearer than this to a known one is redundant
MAX_TOKENS = 30.0  # of the budget for embeddings that only add views


@dataclass(frozen=True, slots=True)
class GalleryEntry:
    """One embedding of a person's face, and the tracklet that it came from."""

    yaw: int
    tracklet: int
    vector: list[float]


class Gallery:
    """A person's views: several for each direction of the head, of which the first one is permanent."""

    def __init__(self, per_yaw: int) -> None:
        self._per_yaw = per_yaw
        self.views: list[GalleryEntry] = []
        self.offered = 0  # views so far, redundant ones included

    def distance(self, vector: Sequence[float]) -> float | None:
        """Return the mean Euclidean distance to the two nearest views; None for an empty gallery."""
        nearest = sorted(math.dist(vector, v.vector) for v in self.views)[:2]
        return sum(nearest) / len(nearest) if nearest else None

    def has(self, yaw: int) -> bool:
        return any(v.yaw == yaw for v in self.views)

    def add(self, view: GalleryEntry) -> None:
        self.offered += 1
        same = [v for v in self.views if v.yaw == view.yaw]
        if any(math.dist(view.vector, v.vector) < MIN_VIEW_DISTANCE for v in same):
            return
        if len(same) >= self._per_yaw:
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
        self.views = [GalleryEntry(int(yaw), int(tracklet), list(vector)) for yaw, tracklet, vector in state["views"]]
        self.offered = int(state["offered"])


class FaceRecognizer:
    """Embeds faces where that can decide who somebody is, and holds the galleries.

    Faces are embedded when a tracklet begins under suspicion, until it is clear whose it is; while a gallery is young;
    and, within a budget, when a person shows the head from a new direction. Without an embedder, or once it has failed,
    no faces are embedded.
    """

    def __init__(self, settings: IdentitySettings, embed: Embedder | None, width: int, height: int) -> None:
        self._settings = settings
        self._embed = embed if settings.reidentify else None
        self._width, self._height = width, height
        self.galleries = (Gallery(settings.gallery_views), Gallery(settings.gallery_views))
        self.failure: dict[str, str] | None = None
        self.activations = 0  # frames in which a face was embedded
        self._tokens = MAX_TOKENS

    @property
    def active(self) -> bool:
        return self._embed is not None and self.failure is None

    @property
    def condition(self) -> str:
        """The state for the report: active, off or failed."""
        return "failed" if self.failure else "active" if self.active else "off"

    def embed(
        self,
        pts: int,
        t: float,
        hits: Sequence[TrackedFace],
        tracklets: dict[int, Tracklet],
        people: int,
        complete: bool,
    ) -> set[int]:
        """Embed the faces of one frame that need it; return their tracklets.

        ``complete``: both people are seen in this frame for certain, so everybody else is a stranger.
        """
        if not self.active:
            return set()
        wanted = [h for h in hits if self._needs_embedding(t, h, tracklets[h.tracklet], people, complete)]
        vectors = self._run(pts, wanted)
        for hit, vector in zip(wanted, vectors, strict=False):
            self._add_embedding(t, hit, tracklets[hit.tracklet], vector, people)
        self.activations += bool(vectors)
        return {h.tracklet for h in wanted} if vectors else set()

    def refill_budget(self) -> None:
        """Add the share of one frame to the budget for views."""
        self._tokens = min(MAX_TOKENS, self._tokens + self._settings.reid_share)

    def enrol(self, tracklet: Tracklet) -> None:
        """Put a tracklet's views into its person's gallery, if the decision is certain enough."""
        if tracklet.label == STRANGER:
            return
        if tracklet.margin >= MIN_ENROL_NATS:
            for yaw, vector in tracklet.views:
                self.galleries[tracklet.label - 1].add(GalleryEntry(yaw, tracklet.id, vector))
        tracklet.views = []

    def begin(self, person: int) -> None:
        """Clear the gallery of a person who is somebody else from now on."""
        self.galleries[person - 1].clear()

    def move(self, tracklet: Tracklet, source: int) -> None:
        """Move a tracklet's views from person ``source`` to its present person, or drop them for a stranger."""
        views = self.galleries[source - 1].take(tracklet.id)
        for view in views if tracklet.label in (1, 2) else ():
            self.galleries[tracklet.label - 1].add(view)

    def state(self) -> dict[str, Any]:
        return {
            "galleries": [g.state() for g in self.galleries],
            "failure": self.failure,
            "activations": self.activations,
            "tokens": self._tokens,
        }

    def restore(self, state: dict[str, Any]) -> None:
        for gallery, views in zip(self.galleries, state["galleries"], strict=True):
            gallery.restore(views)
        self.failure, self.activations = state["failure"], int(state["activations"])
        self._tokens = float(state["tokens"])

    def _needs_embedding(self, t: float, hit: TrackedFace, tracklet: Tracklet, people: int, complete: bool) -> bool:
        if hit.covered or not self._is_clear(hit.face):
            return False
        rested = t - tracklet.embedded_t >= VIEW_S - 1e-6
        if tracklet.label in (1, 2) and tracklet.embedded and not hit.crowded:
            return rested and self._is_new_view(hit.face, tracklet.label)
        if tracklet.embedded >= MAX_EMBEDDINGS or not (rested or tracklet.embedded < FIRST_EMBEDDINGS):
            return False
        if complete and tracklet.label in (UNDECIDED, STRANGER):
            return False
        return not self._is_decided(tracklet, people)

    def _is_clear(self, face: Face) -> bool:
        box = face.box
        inside = box.x > -0.1 * box.w and box.y > -0.1 * box.h
        inside = inside and box.x + 0.9 * box.w < self._width and box.y + 0.9 * box.h < self._height
        large = box.h >= self._settings.least_embedded_height * face.scale
        return inside and large and face.score >= MIN_SCORE and abs(_yaw(face)) < PROFILE

    def _is_new_view(self, face: Face, person: int) -> bool:
        gallery = self.galleries[person - 1]
        young = gallery.offered < FIRST_VIEWS
        if self._tokens < 1 or (gallery.has(_yaw_bin(face)) and not young):
            return False
        self._tokens -= 1
        return True

    def _is_decided(self, tracklet: Tracklet, people: int) -> bool:
        """Return whether the embeddings so far decide which person this is, or that it is neither."""
        known = [pair for pair in tracklet.evidence if None not in pair[:people]]
        if not known or people == 0:
            return False
        limit, scale = self._settings.stranger_distance, 2 * self._settings.embedding_spread**2
        nats = [sum((limit**2 - (p[k] or 0.0) ** 2) / scale for p in known) for k in range(people)]
        best = max(nats)
        return best - min(nats) >= DECISIVE if people == 2 and best > 0 else abs(best) >= DECISIVE / 2

    def _run(self, pts: int, wanted: Sequence[TrackedFace]) -> list[list[float]]:
        if not wanted or self._embed is None:
            return []
        try:
            vectors = self._embed([(pts, h.face) for h in wanted])
        except ExplainedError as error:
            self.failure = {"code": error.code, "message": error.message}
            return []
        return [[float(v) for v in vector] for vector in vectors]

    def _add_embedding(self, t: float, hit: TrackedFace, tracklet: Tracklet, vector: list[float], people: int) -> None:
        tracklet.embedded += 1
        tracklet.embedded_t = t
        known = [self.galleries[k].distance(vector) if k < people else None for k in (0, 1)]
        tracklet.evidence = [*tracklet.evidence, known][-MAX_EMBEDDINGS:]
        if not hit.crowded:
            tracklet.views = [*tracklet.views, (_yaw_bin(hit.face), vector)][-MAX_EMBEDDINGS:]


def _yaw(face: Face) -> float:
    """Return the offset of the nose from the middle of the eyes, in eye distances."""
    (rx, ry), (lx, ly), (nx, ny) = face.landmarks[:3]
    ex, ey = lx - rx, ly - ry
    square = max(1.0, ex * ex + ey * ey)
    return ((nx - (rx + lx) / 2) * ex + (ny - (ry + ly) / 2) * ey) / square


def _yaw_bin(face: Face) -> int:
    yaw = _yaw(face)
    return sum(yaw > edge for edge in YAW_EDGES)
