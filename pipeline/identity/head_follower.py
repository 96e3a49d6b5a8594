"""Follows the heads of people whose face is lost: in profile, turned away, looking down or behind a hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engines.frames import Rect
from pipeline.identity.byte_track import intersection
from pipeline.identity.followed_head import FollowedHead, HeadEyes
from pipeline.identity.lost_faces import LostFace

STILL_S = 6.0  # a head without any face and any movement is followed for so long ...
FACELESS_S = 20.0  # ... and one without any face for so long
OUTSIDE = 0.4  # share of a head outside the frame from which it has left
COVERED = 0.2  # share of a head on somebody else's face from which it cannot be told apart


class HeadFollower:
    """Says where the heads of lost faces are, as long as they are found.

    A head is never where somebody else's face is. It is given up where nothing shows for a while that it is one: no
    face, not even a faint one, and no movement.

    Args:
        eyes: None: no head is followed.
        width, height: of the canvas.
    """

    def __init__(self, eyes: HeadEyes | None, width: int, height: int) -> None:
        self._eyes = eyes
        self._width, self._height = width, height
        self._heads: dict[int, FollowedHead] = {}  # by track

    def step(self, pts: int, t: float, lost: Sequence[LostFace], others: Sequence[Rect]) -> dict[int, Rect]:
        """Return where the heads are in a frame, by track.

        Args:
            lost: the faces whose heads to follow; all other heads are forgotten.
            others: the faces of the frame.
        """
        if self._eyes is None or not lost:
            self._heads = {}
            return {}
        heads = [self._heads.get(face.track) or FollowedHead.of(face, self._eyes) for face in lost]
        self._heads = {head.track: head for head in heads if head}
        found: dict[int, Rect] = {}
        for track, head in self._heads.items():
            if not head.given_up and head.find(self._eyes, pts, t):
                head.given_up = self._is_lost(head, t, [*others, *found.values()])
                if not head.given_up:
                    found[track] = head.box
        return found

    def state(self) -> list[Any]:
        return [head.state() for head in self._heads.values()]

    def restore(self, state: list[Any]) -> None:
        heads = [FollowedHead.restored(k) for k in state]
        self._heads = {head.track: head for head in heads}

    def _is_lost(self, head: FollowedHead, t: float, taken: Sequence[Rect]) -> bool:
        """Return whether a head has left, cannot be told from somebody else's, or may be none."""
        box, area = head.box, head.box.w * head.box.h
        inside = intersection(box, Rect(0, 0, self._width, self._height))
        covered = max((intersection(box, other) for other in taken), default=0.0)
        unlikely = t - head.face_t > FACELESS_S or t - max(head.face_t, head.still_t) > STILL_S
        return inside < (1 - OUTSIDE) * area or covered > COVERED * area or unlikely
