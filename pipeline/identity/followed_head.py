"""One head that is followed by its looks, from the last frame that shows its face."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from engines.frames import Rect
from pipeline.identity.correlation_filter import CHIP, Chip, CorrelationFilter
from pipeline.identity.lost_faces import LostFace
from pipeline.people import Face

REGION = 3.0  # face heights: side of the square that a chip shows
FOUND = 0.13  # least response to a head; a wall gives 0.02 to 0.17
ALIKE = 0.20  # response from which the filter learns what it sees
DOUBT_S = 1.0  # with less, and without a face, a head is believed for so long
LEARN_SHARE = 0.1
FASTEST = 3.5  # face heights per second: no head moves faster

CLOSE_WIDE, CLOSE_HIGH = 10 / 3, 2.0  # face heights: the region in which a face is looked for closely
CLOSE_S = 0.5  # between two such looks; at a lower response than this, every time:
SURE = 0.3
NEAR, SIMILAR = 0.6, 1.7  # face heights, ratio of heights: a face at this place and of this size is the head's
FAINT, CLEAR = 0.25, 0.5  # scores: of a face that confirms a head, and of one that corrects its place
MOVED = 0.1  # face heights: less is no movement
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
class FollowedHead:
    """A head, and when it was last seen in which way.

    Attributes:
        box: where its face would be, in pixels of the canvas.
        found_t, alike_t, face_t: when it was found; when it looked as before; when a face was seen, however faint.
        looked_t: when a face was looked for closely.
        still_t, still_at: since when it has been near this place.
        given_up: it is not looked for again.
    """

    track: int
    box: Rect
    filter: CorrelationFilter
    found_t: float
    alike_t: float
    face_t: float
    looked_t: float
    still_t: float
    still_at: tuple[float, float]
    given_up: bool = False

    @classmethod
    def of(cls, face: LostFace, eyes: HeadEyes) -> FollowedHead | None:
        """Begin with the latest frame that shows the face; None: it is no longer at hand."""
        if face.pts is None:
            return None
        known = CorrelationFilter(eyes.chip(face.pts, _square(face.box), CHIP))
        at = face.box.cx, face.box.cy
        return cls(face.track, face.box, known, face.t, face.t, face.t, NEVER, face.t, at)

    def find(self, eyes: HeadEyes, pts: int, t: float) -> bool:
        """Move to where the head is in a frame; return whether it is there."""
        response = self._locate(eyes, pts, t)
        found = response >= FOUND
        if response < SURE or t - self.looked_t >= CLOSE_S - 1e-6:
            found = self._look_closely(eyes, pts, t, found)
        if response >= ALIKE:
            self.alike_t = t
            self.filter.learn(eyes.chip(pts, _square(self.box), CHIP), LEARN_SHARE)
        if found:
            self.found_t = t
            self._note_place(t)
        return found and t - max(self.alike_t, self.face_t) <= DOUBT_S

    def state(self) -> dict[str, Any]:
        plain = {name: getattr(self, name) for name in self.__slots__}
        box = [self.box.x, self.box.y, self.box.w, self.box.h]
        return plain | {"box": box, "filter": self.filter.state(), "still_at": list(self.still_at)}

    @classmethod
    def restored(cls, state: dict[str, Any]) -> FollowedHead:
        x, y = state["still_at"]
        known = CorrelationFilter.restored(state["filter"])
        return cls(**{**state, "box": Rect(*state["box"]), "filter": known, "still_at": (x, y)})

    def _locate(self, eyes: HeadEyes, pts: int, t: float) -> float:
        """Move to where the filter finds the head; return its response, 0 where no head can be."""
        found = self.filter.locate(eyes.chip(pts, _square(self.box), CHIP))
        pixel = REGION * self.box.h / CHIP
        if math.hypot(found.dx, found.dy) * pixel > FASTEST * (t - self.found_t) * self.box.h:
            return 0.0
        if found.peak >= FOUND:
            self.box = replace(self.box, x=self.box.x + found.dx * pixel, y=self.box.y + found.dy * pixel)
        return found.peak

    def _look_closely(self, eyes: HeadEyes, pts: int, t: float, found: bool) -> bool:
        """Look for a face where the head is; return whether the head is found, by the filter (``found``) or by this."""
        self.looked_t = t
        face = self._face(eyes, pts)
        if face is not None and face.score >= CLEAR:
            self.box, found = face.box, True
            self.filter = CorrelationFilter(eyes.chip(pts, _square(face.box), CHIP))
        if face is not None and found:
            self.face_t = t
        return found

    def _face(self, eyes: HeadEyes, pts: int) -> Face | None:
        """Return the clearest face where the head is, of about its size."""
        box = self.box
        faces = eyes.faces(pts, _around(box, CLOSE_WIDE * box.h, CLOSE_HIGH * box.h), FAINT)
        near = [f for f in faces if math.hypot(f.box.cx - box.cx, f.box.cy - box.cy) <= NEAR * box.h]
        similar = [f for f in near if 1 / SIMILAR <= f.box.h / box.h <= SIMILAR]
        return max(similar, key=lambda f: f.score, default=None)

    def _note_place(self, t: float) -> None:
        if math.hypot(self.box.cx - self.still_at[0], self.box.cy - self.still_at[1]) > MOVED * self.box.h:
            self.still_t, self.still_at = t, (self.box.cx, self.box.cy)


def _square(box: Rect) -> Rect:
    return _around(box, REGION * box.h, REGION * box.h)


def _around(box: Rect, width: float, height: float) -> Rect:
    return Rect(box.cx - width / 2, box.cy - height / 2, width, height)
