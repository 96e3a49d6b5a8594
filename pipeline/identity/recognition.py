"""Recognition of faces: galleries of the two people, and the choice of faces to embed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from engines.errors import ExplainedError
from pipeline.identity.appearance import appearance_nats
from pipeline.identity.assignment import APPEARS
from pipeline.identity.gallery import Gallery, GalleryEntry
from pipeline.identity.head_pose import yaw
from pipeline.identity.tracklets import STRANGER, UNDECIDED, TrackedFace, Tracklet
from pipeline.people import Face
from pipeline.settings import IdentitySettings

Embedder: TypeAlias = Callable[[Sequence[tuple[int, Face]]], NDArray[np.float32]]

PROFILE = 0.60  # beyond this yaw embeddings say little of who somebody is
MIN_SCORE = 0.6
FIRST_VIEWS = 6  # a gallery is young before this many views
VIEW_S = 0.25  # between two embeddings of a tracklet after the first ones
FIRST_EMBEDDINGS, MAX_EMBEDDINGS = 2, 5  # of an undecided tracklet: without a pause, and in total
DECISIVE = 6.0  # nats between the two people that need no further embedding
VERIFY_S = 2.0  # between two looks at one of the people while the other is away: a cut may have been missed
CLEAR = 5.0  # nats for the likeliest person, after a cut or an entry, that need no further embedding either
MIN_ENROL_NATS = 3.0  # margin from which a face's views enter a gallery
MAX_TOKENS = 30.0  # of the budget for embeddings that only add views


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
        alone = people == 2 and not {1, 2} <= {tracklets[h.tracklet].label for h in hits}
        wanted = [h for h in hits if self._needs_embedding(t, h, tracklets[h.tracklet], people, complete, alone)]
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
        gallery = self.galleries[tracklet.label - 1]
        if tracklet.margin >= MIN_ENROL_NATS:
            any_view = not gallery.views  # of people who sit close to each other there may be no better one
            for turn, vector, fresh in tracklet.views:
                if fresh or any_view:
                    gallery.add(GalleryEntry(turn, tracklet.id, vector))
        tracklet.views = [(turn, vector, False) for turn, vector, _ in tracklet.views]

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

    def _needs_embedding(
        self, t: float, hit: TrackedFace, tracklet: Tracklet, people: int, complete: bool, alone: bool
    ) -> bool:
        if hit.covered or not is_clear(hit.face, self._settings, self._width, self._height):
            return False
        rested = t - tracklet.embedded_t >= VIEW_S - 1e-6
        if tracklet.label in (1, 2) and tracklet.embedded and not hit.crowded:
            is_due = alone and t - tracklet.embedded_t >= VERIFY_S
            return is_due or (rested and self._is_new_view(hit.face, tracklet.label))
        if tracklet.embedded >= MAX_EMBEDDINGS or not (rested or tracklet.embedded < FIRST_EMBEDDINGS):
            return False
        if complete and tracklet.label in (UNDECIDED, STRANGER):
            return False
        return not self._is_decided(tracklet, people)

    def _is_new_view(self, face: Face, person: int) -> bool:
        gallery = self.galleries[person - 1]
        young = gallery.offered < FIRST_VIEWS
        if self._tokens < 1 or (gallery.has(yaw(face)) and not young):
            return False
        self._tokens -= 1
        return True

    def _is_decided(self, tracklet: Tracklet, people: int) -> bool:
        """Return whether the embeddings so far decide which person this is, or that it is neither."""
        known = [appearance_nats(tracklet, k + 1, self._settings) for k in range(people)]
        nats = [n for n in known if n is not None]
        if not nats or len(nats) < people:
            return False
        best = max(nats)
        if tracklet.reason in APPEARS and abs(best) < CLEAR:
            return False
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
        turn = yaw(hit.face)
        known = self.galleries[:people]
        distances, separations = [g.distance(vector) for g in known], [g.separation(turn, vector) for g in known]
        unknown: list[float | None] = [None] * (2 - len(known))
        tracklet.evidence = [*tracklet.evidence, distances + unknown][-MAX_EMBEDDINGS:]
        tracklet.separation = [*tracklet.separation, separations + unknown][-MAX_EMBEDDINGS:]
        tracklet.views = [*tracklet.views, (turn, vector, not hit.crowded)][-MAX_EMBEDDINGS:]


def is_clear(face: Face, settings: IdentitySettings, width: int, height: int) -> bool:
    """Return whether an embedding of a face says who it is: it is large, sharp, not in profile and inside the frame.

    Args:
        width, height: of the canvas.
    """
    box = face.box
    inside = box.x > -0.1 * box.w and box.y > -0.1 * box.h
    inside = inside and box.x + 0.9 * box.w < width and box.y + 0.9 * box.h < height
    large = box.h >= settings.least_embedded_height * face.scale
    return inside and large and face.score >= MIN_SCORE and abs(yaw(face)) < PROFILE
