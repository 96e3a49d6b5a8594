"""Follows heads whose face is lost: people in profile, turned away, looking down or behind a hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from engines.frames import Rect
from pipeline.identity.byte_track import intersection
from pipeline.identity.correlation_filter import CHIP, Chip, CorrelationFilter
from pipeline.identity.lost_faces import LostFace
from pipeline.people import Face

REGION = 3.0  # face heights: side of the square that a chip shows
FOUND = 0.13  # least response to what the filter knows; nothing alike gives 0.02 to 0.12
LEARN = 0.20  # least response to a chip that the filter learns
LEARN_SHARE = 0.1
FASTEST = 3.5  # face heights per second: no head moves faster

LOOK_WIDE, LOOK_HIGH = 10 / 3, 2.0  # face heights: the region in which a face is looked for closely
LOOK_S = 0.5  # between two such looks; while the filter is unsure, every time
SURE = 0.3  # response of a sure filter
NEAR, ALIKE = 0.6, 1.7  # in face heights and as a ratio of heights: a face at this place and of this size is the head's
FAINT, CLEAR = 0.25, 0.5  # scores: of a face that confirms a head, and of one that corrects its place

STILL_S = 6.0  # a head without any face and any movement is followed for so long ...
MOVED = 0.15  # ... where this is a movement, in face heights ...
FACELESS_S = 20.0  # ... and one without any face for so long
OUTSIDE = 0.4  # share of a head outside the frame from which it has left
COVERED = 0.2  # share of a head on somebody else's face from which it cannot be told apart
NEVER = -1e9


class HeadEyes(Protocol):
    """Looks at parts of frames that wait for their decision, in pixels of the canvas."""

    def chip(self, pts: int, part: Rect, size: int) -> Chip:
        """Return the luma of a part of a frame, shape (size, size); outside the frame its edges repeat."""
        ...

    def faces(self, pts: int, part: Rect, score: float) -> Sequence[Face]:
        """Return the faces in a part of a frame, with at least this score."""
        ...


@dataclass(slots=True)
class Head:
    """One head that is followed.

    Attributes:
        box: where a face would be, in pixels of the canvas.
        found_t: when it was found last.
        face_t: when a face was found there last.
        looked_t: when it was looked for.
        still_t, still_at: since when the head has been near this place.
        given_up: it is not looked for again.
    """

    track: int
    box: Rect
    filter: CorrelationFilter
    found_t: float
    face_t: float
    looked_t: float
    still_t: float
    still_at: tuple[float, float]
    given_up: bool = False

    def state(self) -> dict[str, Any]:
        plain = {name: getattr(self, name) for name in self.__slots__}
        return plain | {"box": _numbers(self.box), "filter": self.filter.state(), "still_at": list(self.still_at)}

    @classmethod
    def restored(cls, state: dict[str, Any]) -> Head:
        x, y = state["still_at"]
        known = CorrelationFilter.restored(state["filter"])
        return cls(**{**state, "box": Rect(*state["box"]), "filter": known, "still_at": (x, y)})


class HeadFollower:
    """Follows a head by its looks from the last frame with a face on, as long as it is found.

    A correlation filter follows; now and then, and where the filter is unsure, a face is looked for closely. A head is
    never where somebody else's face is, and is given up where nothing shows for a while that it is one: no face, not
    even a faint one, and no movement.
    """

    def __init__(self, eyes: HeadEyes | None, width: int, height: int) -> None:
        self._eyes = eyes
        self._width, self._height = width, height
        self._heads: dict[int, Head] = {}  # by track

    def step(self, pts: int, t: float, lost: Sequence[LostFace], others: Sequence[Rect]) -> dict[int, Rect]:
        """Return where the heads of lost faces are in a frame, by track.

        Args:
            lost: the faces to follow; others are forgotten.
            others: all faces of the frame.
        """
        if self._eyes is None or not lost:
            self._heads = {}
            return {}
        heads = [self._heads.get(face.track) or _begun(self._eyes, face) for face in lost]
        self._heads = {head.track: head for head in heads if head}
        found: dict[int, Rect] = {}
        for track, head in self._heads.items():
            if not head.given_up and self._find(self._eyes, head, pts, t):
                head.given_up = self._is_gone(head, t, [*others, *found.values()])
                if not head.given_up:
                    found[track] = head.box
        return found

    def state(self) -> list[Any]:
        return [head.state() for head in self._heads.values()]

    def restore(self, state: list[Any]) -> None:
        heads = [Head.restored(k) for k in state]
        self._heads = {head.track: head for head in heads}

    def _find(self, eyes: HeadEyes, head: Head, pts: int, t: float) -> bool:
        """Move a head to where it is in a frame; return whether it is found there."""
        response = head.filter.locate(eyes.chip(pts, _square(head.box), CHIP))
        pixel = REGION * head.box.h / CHIP
        reach = FASTEST * (t - head.found_t) * head.box.h
        near = math.hypot(response.dx, response.dy) * pixel <= reach
        found = near and response.peak >= FOUND
        if found:
            head.box = replace(head.box, x=head.box.x + response.dx * pixel, y=head.box.y + response.dy * pixel)
        if not found or response.peak < SURE or t - head.looked_t >= LOOK_S - 1e-6:
            face = _face_of(head, eyes, pts, FAINT)
            head.looked_t = t
            if face is not None and face.score >= CLEAR:
                head.box, found = face.box, True
                head.filter = CorrelationFilter(eyes.chip(pts, _square(face.box), CHIP))
            head.face_t = t if found and face is not None else head.face_t
        if found and response.peak >= LEARN:
            head.filter.learn(eyes.chip(pts, _square(head.box), CHIP), LEARN_SHARE)
        head.found_t = t if found else head.found_t
        return found

    def _is_gone(self, head: Head, t: float, taken: Sequence[Rect]) -> bool:
        """Return whether a head has left, is somebody else's by now, or may be none."""
        box, area = head.box, head.box.w * head.box.h
        if math.hypot(box.cx - head.still_at[0], box.cy - head.still_at[1]) > MOVED * box.h:
            head.still_t, head.still_at = t, (box.cx, box.cy)
        inside = intersection(box, Rect(0, 0, self._width, self._height))
        covered = max((intersection(box, other) for other in taken), default=0.0)
        unlikely = t - head.face_t > FACELESS_S or t - max(head.face_t, head.still_t) > STILL_S
        return inside < (1 - OUTSIDE) * area or covered > COVERED * area or unlikely


def _begun(eyes: HeadEyes, face: LostFace) -> Head | None:
    if face.pts is None:
        return None
    known = CorrelationFilter(eyes.chip(face.pts, _square(face.box), CHIP))
    return Head(face.track, face.box, known, face.t, face.t, NEVER, face.t, (face.box.cx, face.box.cy))


def _face_of(head: Head, eyes: HeadEyes, pts: int, score: float) -> Face | None:
    """Return the clearest face where the head is, of about the usual size."""
    box = head.box
    faces = eyes.faces(pts, _around(box, LOOK_WIDE * box.h, LOOK_HIGH * box.h), score)
    near = [f for f in faces if math.hypot(f.box.cx - box.cx, f.box.cy - box.cy) <= NEAR * box.h]
    alike = [f for f in near if 1 / ALIKE <= f.box.h / box.h <= ALIKE]
    return max(alike, key=lambda f: f.score, default=None)


def _square(box: Rect) -> Rect:
    return _around(box, REGION * box.h, REGION * box.h)


def _around(box: Rect, width: float, height: float) -> Rect:
    return Rect(box.cx - width / 2, box.cy - height / 2, width, height)


def _numbers(box: Rect) -> list[float]:
    return [box.x, box.y, box.w, box.h]
