"""Scenes of decided frames: boxes between detections, sides, bystanders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engines.frames import Rect
from pipeline.identity.assignment import PositionOrder
from pipeline.people import Scene, Seen, Side
from pipeline.settings import IdentitySettings


@dataclass(frozen=True, slots=True)
class FaceSpot:
    """One detected face of a pending frame, or a head that is followed without one.

    ``embedded``: the face was embedded.
    """

    tracklet: int
    box: Rect
    embedded: bool = False
    head: bool = False


@dataclass(frozen=True, slots=True)
class PendingFrame:
    """One frame that waits for its decision. ``spots`` is None where the detector did not run."""

    pts: int
    t: float
    cut: bool
    shot: int
    spots: tuple[FaceSpot, ...] | None

    def state(self) -> list[Any]:
        spots = None if self.spots is None else [[s.tracklet, _numbers(s.box), s.embedded, s.head] for s in self.spots]
        return [self.pts, self.t, self.cut, self.shot, spots]

    @classmethod
    def restored(cls, state: Sequence[Any]) -> PendingFrame:
        pts, t, cut, shot, spots = state
        found = None if spots is None else tuple(FaceSpot(k, Rect(*box), *kind) for k, box, *kind in spots)
        return cls(pts, t, cut, shot, found)


@dataclass(frozen=True, slots=True)
class LastDetection:
    """Time, shot and box of a person's last detection; ``head``: as a head without a face."""

    t: float
    shot: int
    box: Rect
    head: bool = False


class SceneBuilder:
    """Locates the two people in each frame, once it is decided whose the tracklets are.

    Between two detections of a person that are near enough in time, the box is interpolated. There is no box of a
    person who has left.
    """

    def __init__(self, settings: IdentitySettings, width: int, *, by_position: bool) -> None:
        self._settings, self._width = settings, width
        self._by_position = by_position
        self._order = PositionOrder()
        self._last_detections: list[LastDetection | None] = [None, None]

    def locate(self, waiting: Sequence[PendingFrame], labels: Mapping[int, int]) -> tuple[Seen, Seen]:
        """Return persons 1 and 2 in the oldest pending frame; ``labels`` gives the person of each tracklet."""
        return self._seen(waiting, labels, 1), self._seen(waiting, labels, 2)

    def scene(self, frame: PendingFrame, people: Sequence[tuple[Side, Seen]], labels: Mapping[int, int]) -> Scene:
        """Return the frame with the known people on their sides, which in position mode depend on the positions."""
        sides = dict(people)
        left, right = sides.get("left"), sides.get("right")
        if self._by_position:
            left, right = self._by_order(frame.cut, left, right)
        others = tuple(s.box for s in frame.spots or () if not s.head and labels[s.tracklet] not in (1, 2))
        return Scene(frame.pts, frame.t, frame.cut, left, right, others)

    def forget(self, person: int) -> None:
        """Forget the last detection of a person who is somebody else from now on."""
        self._last_detections[person - 1] = None

    def state(self) -> dict[str, Any]:
        sightings = [None if s is None else [s.t, s.shot, _numbers(s.box), s.head] for s in self._last_detections]
        return {"order": self._order.state(), "sightings": sightings}

    def restore(self, state: dict[str, Any]) -> None:
        self._order = PositionOrder(**state["order"])
        self._last_detections = [
            None if s is None else LastDetection(s[0], s[1], Rect(*s[2]), s[3]) for s in state["sightings"]
        ]

    def _by_order(self, cut: bool, left: Seen | None, right: Seen | None) -> tuple[Seen | None, Seen | None]:
        if cut:
            self._order.cut()
        centres = [seen.box.cx if seen and seen.box else None for seen in (left, right)]
        exchanged = self._order.observe(centres[0], centres[1], self._width, self._settings)
        return (right, left) if exchanged else (left, right)

    def _seen(self, waiting: Sequence[PendingFrame], labels: Mapping[int, int], person: int) -> Seen:
        frame = waiting[0]
        spot = _spot_of(frame, labels, person)
        if spot is None:
            return self._between(waiting, labels, person)
        self._last_detections[person - 1] = LastDetection(frame.t, frame.shot, spot.box, spot.head)
        return Seen(person, spot.box, "head" if spot.head else "reidentified" if spot.embedded else "detected")

    def _between(self, waiting: Sequence[PendingFrame], labels: Mapping[int, int], person: int) -> Seen:
        """Return the person between two detections, if they are near enough in time."""
        frame, before = waiting[0], self._last_detections[person - 1]
        nowhere = Seen(person, None, "tracked")
        if before is None or before.shot != frame.shot:
            return nowhere
        shot = (w for w in waiting if w.shot == frame.shot and w.spots is not None)
        spots = ((w.t, spot) for w in shot if (spot := _spot_of(w, labels, person)))
        after_t, after = next(spots, (before.t, None))
        if max(frame.t, after_t) - before.t > self._settings.gap_s:
            return nowhere
        if after is None:
            is_seen = any(w.shot == frame.shot and w.spots is not None for w in waiting)
            return nowhere if is_seen else Seen(person, before.box, "head" if before.head else "tracked")
        box = _blend(before.box, after.box, (frame.t - before.t) / (after_t - before.t))
        return Seen(person, box, "head" if before.head or after.head else "tracked")


def _spot_of(frame: PendingFrame, labels: Mapping[int, int], person: int) -> FaceSpot | None:
    """Return where a person is in a frame: their face rather than a head without one."""
    head = None
    for spot in frame.spots or ():
        if labels[spot.tracklet] == person:
            if not spot.head:
                return spot
            head = head or spot
    return head


def _blend(a: Rect, b: Rect, share: float) -> Rect:
    x, y = a.x + share * (b.x - a.x), a.y + share * (b.y - a.y)
    return Rect(x, y, a.w + share * (b.w - a.w), a.h + share * (b.h - a.h))


def _numbers(box: Rect) -> list[float]:
    return [box.x, box.y, box.w, box.h]
