"""Faces of the two people that are tracked but not seen at present: those whose heads are followed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engines.frames import Rect
from pipeline.identity.scene_builder import PendingFrame
from pipeline.identity.tracklets import TrackedFace, Tracklet


@dataclass(frozen=True, slots=True)
class LostFace:
    """A person's track that has no face in the present frame.

    Attributes:
        tracklet: the track's latest one.
        box, t: of its latest face.
        pts: of the frame that shows it; None: that frame is no longer at hand.
    """

    track: int
    tracklet: int
    box: Rect
    t: float
    pts: int | None


def lost_faces(
    lost: Sequence[Tracklet],
    hits: Sequence[TrackedFace],
    tracklets: Mapping[int, Tracklet],
    waiting: Sequence[PendingFrame],
) -> list[LostFace]:
    """Return the faces of people who are not seen elsewhere in the present frame.

    Args:
        lost: the latest tracklets of tracks without a face.
        hits: the faces of the present frame.
        tracklets: by number.
        waiting: the frames before the present one that are at hand, oldest first.
    """
    unseen = {1, 2} - {tracklets[hit.tracklet].person() for hit in hits}
    return [_lost_face(tracklet, waiting) for tracklet in lost if tracklet.person() in unseen]


def _lost_face(tracklet: Tracklet, waiting: Sequence[PendingFrame]) -> LostFace:
    x, y, w, h = tracklet.last[:4]
    box = Rect(x - w / 2, y - h / 2, w, h)
    frames = (k.pts for k in reversed(waiting) if any(s.tracklet == tracklet.id and not s.head for s in k.spots or ()))
    return LostFace(tracklet.track, tracklet.id, box, tracklet.t1, next(frames, None))
