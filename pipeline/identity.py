"""Faces in, people out: who of the two is where in every picture, decided with a look ahead."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from engines.frames import Rect
from pipeline.assign import Assigner, Decision, PositionOrder
from pipeline.founding import Founding, Person
from pipeline.identity_record import IdentityRecord
from pipeline.people import Observation, Scene, Seen
from pipeline.reidentify import Embedder, Recogniser
from pipeline.settings import IdentitySettings
from pipeline.tracklets import STRANGER, UNDECIDED, Hit, Tracklet, TrackletBuilder, tracklet_state

CLEAR = 50.0                   # nats, where no other reading is left
UNLIKE = -1.0                  # nats of embeddings against a person
MEMORY_S = 0.5                 # tracklets wholly shown stay this long: what continues them is compared with them
LONGEST_STEP_S = 0.25          # presence between two detections counts at most this


@dataclass(frozen=True, slots=True)
class Spot:
    """One face in a picture that waits for its decision."""

    tracklet: int
    box: Rect
    embedded: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """One picture that waits for its decision. ``spots`` is None where the detector was not run."""

    pts: int
    t: float
    cut: bool
    shot: int
    spots: tuple[Spot, ...] | None


@dataclass(frozen=True, slots=True)
class Sighting:
    """Where and when a person was last detected."""

    t: float
    shot: int
    box: Rect


class PeopleResolver:
    """Decides for every picture where the two people are.

    A picture waits until ``lookahead_s`` of later pictures are known. Then the tracklets up to there are assigned
    jointly, and what has been decided for returned pictures weighs in later decisions but can be overturned by
    evidence; a change takes effect with the first picture not yet returned. Everything is worked out picture by
    picture, so results do not depend on how pictures are batched.
    """

    def __init__(
        self, settings: IdentitySettings, *, assignment: Literal["identity", "position"], lookahead_s: float,
        width: int, height: int, embed: Embedder | None,
    ) -> None:
        self._settings, self._width = settings, width
        self._by_position, self._lookahead_s = assignment == "position", lookahead_s
        self._builder = TrackletBuilder(settings)
        self._assigner = Assigner(settings, width)
        self._founding = Founding(settings, width, height)
        self._recogniser = Recogniser(settings, embed, width, height)
        self._order = PositionOrder()
        self._record = IdentityRecord()
        self._waiting: list[Waiting] = []
        self._tracklets: dict[int, Tracklet] = {}
        self._anchors: list[Tracklet | None] = [None, None]
        self._sightings: list[Sighting | None] = [None, None]
        self._detected_t = 0.0
        self._dirty = False

    def observe(self, pictures: Sequence[Observation]) -> list[Scene]:
        """Take in the next pictures; returns those that are decided now, in order, each exactly once."""
        scenes = []
        for picture in pictures:
            self._take(picture)
            while self._waiting[0].t <= picture.t - self._lookahead_s:
                scenes.append(self._release(final=False))
        return scenes

    def finish(self) -> list[Scene]:
        """The file has ended: decide what is left."""
        scenes = []
        while self._waiting:
            scenes.append(self._release(final=True))
        return scenes

    def summary(self) -> dict[str, Any]:
        """The report's identity section; see ``IdentityRecord.summary``."""
        return self._record.summary(self._people, self._recogniser)

    def state(self) -> dict[str, Any]:
        """Everything that later decisions depend on, as JSON can hold it."""
        return {
            "builder": self._builder.state(), "founding": self._founding.state(),
            "recogniser": self._recogniser.state(), "order": self._order.state(), "record": self._record.state(),
            "waiting": [_waiting_state(w) for w in self._waiting],
            "tracklets": [tracklet_state(k) for k in self._tracklets.values()],
            "anchors": [None if k is None else tracklet_state(k) for k in self._anchors],
            "sightings": [None if s is None else [s.t, s.shot, _numbers(s.box)] for s in self._sightings],
            "detected_t": self._detected_t, "dirty": self._dirty,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what ``state`` returned, before or after a trip through JSON."""
        tracklets = [Tracklet.restored(k) for k in state["tracklets"]]
        self._tracklets = {k.id: k for k in tracklets}
        self._builder.restore(state["builder"], self._tracklets)
        self._founding.restore(state["founding"])
        self._recogniser.restore(state["recogniser"])
        self._order = PositionOrder(**state["order"])
        self._record = IdentityRecord.restored(state["record"])
        self._waiting = [_waiting(w) for w in state["waiting"]]
        self._anchors = [None if k is None else Tracklet.restored(k) for k in state["anchors"]]
        self._sightings = [None if s is None else Sighting(s[0], s[1], Rect(*s[2])) for s in state["sightings"]]
        self._detected_t, self._dirty = state["detected_t"], state["dirty"]

    @property
    def _people(self) -> list[Person]:
        return self._founding.people

    # Taking in

    def _take(self, picture: Observation) -> None:
        if picture.cut:
            self._builder.cut()
        self._recogniser.earn()
        spots = None if picture.faces is None else self._track(picture)
        self._waiting.append(Waiting(picture.pts, picture.t, picture.cut, self._builder.shot, spots))

    def _track(self, picture: Observation) -> tuple[Spot, ...]:
        hits, born = self._builder.step(picture.t, picture.faces or (), picture.cut)
        self._tracklets.update((k.id, k) for k in born)
        embedded = self._recogniser.look(
            picture.pts, picture.t, hits, self._tracklets, len(self._people), self._is_complete(hits)
        )
        for number in embedded:
            self._enrol(self._tracklets[number])
        self._dirty = self._dirty or bool(born) or bool(embedded)
        return tuple(Spot(h.tracklet, h.face.box, h.tracklet in embedded) for h in hits)

    def _is_complete(self, hits: Sequence[Hit]) -> bool:
        return {1, 2} <= {self._tracklets[h.tracklet].label for h in hits}

    # Deciding

    def _release(self, final: bool) -> Scene:
        picture = self._waiting[0]
        if picture.spots is not None or self._dirty:
            self._decide(picture, final)
        if picture.spots is not None:
            self._note_strangers(picture)
        scene = self._scene(picture)
        self._waiting.pop(0)
        self._forget()
        return scene

    def _decide(self, picture: Waiting, final: bool) -> None:
        window = list(self._tracklets.values())
        founded = self._founding.found(window, self._rejects(window), final)
        for tracklet in founded:
            self._founded(tracklet)
        if not self._people:
            return
        if self._dirty or founded or any(k.label == UNDECIDED for k in window):
            self._assign(window)
            self._dirty = False
        for tracklet in window:
            if tracklet.label == UNDECIDED and tracklet.t0 <= picture.t:
                self._commit(tracklet)

    def _rejects(self, window: Sequence[Tracklet]) -> dict[int, bool]:
        """Tracklets whose embeddings say that they are not the first person."""
        if len(self._people) != 1:
            return {}
        nats = {k.id: self._assigner.appearance(k, 1) for k in window}
        return {number: n is not None and n < UNLIKE for number, n in nats.items()}

    def _founded(self, tracklet: Tracklet) -> None:
        tracklet.margin = CLEAR
        self._record.founded(tracklet)
        self._enrol(tracklet)

    def _assign(self, window: Sequence[Tracklet]) -> None:
        anchors = (self._anchors[0], self._anchors[1])
        decision = self._assigner.decide(window, anchors, self._people, self._waiting[0].t)
        for tracklet in window:
            label = decision.labels[tracklet.id]
            if tracklet.label == UNDECIDED:
                tracklet.proposed = label
                self._doubt(tracklet, decision)
            elif label != tracklet.label:
                self._overturn(tracklet, label)
                self._doubt(tracklet, decision)

    def _doubt(self, tracklet: Tracklet, decision: Decision) -> None:
        tracklet.margin = min(CLEAR, decision.margins.get(tracklet.id, CLEAR))
        tracklet.leaning = self._leaning(tracklet)

    def _leaning(self, tracklet: Tracklet) -> float:
        """Nats that the embeddings give for the tracklet's person against the other one."""
        own, other = (self._assigner.appearance(tracklet, k) or 0.0 for k in (1, 2))
        return own - other if tracklet.person() == 1 else other - own

    def _overturn(self, tracklet: Tracklet, label: int) -> None:
        """Evidence contradicts what has been shown: change it from here on."""
        before, tracklet.label = tracklet.label, label
        if before != STRANGER:
            self._recogniser.move(tracklet, before)
        self._record.overturned(tracklet, before, self._waiting[0].t)

    def _commit(self, tracklet: Tracklet) -> None:
        tracklet.label = max(STRANGER, tracklet.proposed)
        self._record.committed(tracklet)
        self._enrol(tracklet)

    def _enrol(self, tracklet: Tracklet) -> None:
        if tracklet.label != UNDECIDED:
            self._record.compare(tracklet)
            self._recogniser.enrol(tracklet)

    def _note_strangers(self, picture: Waiting) -> None:
        """Give strangers their due: a person's place, or back the identity that motion had lost."""
        numbers = [s.tracklet for s in picture.spots or ()]
        seen = [k for k in map(self._tracklets.__getitem__, numbers) if k.label == STRANGER]
        strangers = self._founding.note(seen, self._step_s(picture))
        successor = self._founding.successor(strangers)
        if successor is not None:
            self._succeed(*successor)
            return
        for stranger in strangers:
            person = self._founding.vacancy(stranger)
            if person is not None and self._may_be(stranger, person):
                stranger.label, stranger.margin, stranger.leaning = person.number, 0.0, 0.0
                self._record.claimed(stranger, picture.t)
                return

    def _may_be(self, stranger: Tracklet, person: Person) -> bool:
        """Nothing speaks against it, and nobody else of that person is in the window."""
        looks = self._assigner.appearance(stranger, person.number)
        unlike = self._recogniser.active if looks is None else looks < UNLIKE
        busy = any(k.person() == person.number and k.t1 >= stranger.t0 for k in self._tracklets.values())
        return not unlike and not busy

    def _succeed(self, stranger: Tracklet, person: Person) -> None:
        """A stranger takes a person's number: nothing of the predecessor's is kept."""
        self._founding.replace(stranger, person)
        for tracklet in self._tracklets.values():
            if tracklet.person() == person.number:
                tracklet.label = STRANGER
        stranger.label, stranger.margin = person.number, CLEAR
        self._anchors[person.number - 1] = self._sightings[person.number - 1] = None
        self._recogniser.begin(person.number)
        self._record.succeeded(stranger, self._waiting[0].t)
        self._enrol(stranger)

    def _step_s(self, picture: Waiting) -> float:
        return min(LONGEST_STEP_S, picture.t - self._detected_t)

    def _forget(self) -> None:
        """Drop tracklets that ended a while before the oldest waiting picture; the people's latest stay as anchors."""
        live, oldest = self._builder.live(), self._waiting[0].t if self._waiting else math.inf
        for tracklet in [k for k in self._tracklets.values() if k.t1 < oldest - MEMORY_S and k.id not in live]:
            del self._tracklets[tracklet.id]
            self._record.closed(tracklet, tracklet.margin + self._leaning(tracklet) - tracklet.leaning)
            if tracklet.label in (1, 2):
                self._anchor(tracklet)

    def _anchor(self, tracklet: Tracklet) -> None:
        anchor = self._anchors[tracklet.label - 1]
        if anchor is None or anchor.t1 <= tracklet.t1:
            tracklet.views, tracklet.evidence = [], []
            self._anchors[tracklet.label - 1] = tracklet

    # Showing

    def _scene(self, picture: Waiting) -> Scene:
        seen = {p.number: self._seen(picture, p) for p in self._people}
        boxes = [seen[k].box if k in seen else None for k in (1, 2)]
        if boxes[0] and boxes[1]:
            self._founding.settle_sides(picture.shot, boxes[0].cx, boxes[1].cx)
        sides = {p.side: seen[p.number] for p in self._people}
        left, right = self._placed(picture, sides.get("left"), sides.get("right"))
        self._record.returned(boxes)
        if picture.spots is not None:
            self._detected_t = picture.t
        return Scene(picture.pts, picture.t, picture.cut, left, right, self._others(picture))

    def _placed(self, picture: Waiting, left: Seen | None, right: Seen | None) -> tuple[Seen | None, Seen | None]:
        if not self._by_position:
            return left, right
        if picture.cut:
            self._order.cut()
        x_left = left.box.cx if left and left.box else None
        x_right = right.box.cx if right and right.box else None
        swapped = self._order.observe(x_left, x_right, self._width, self._settings)
        return (right, left) if swapped else (left, right)

    def _seen(self, picture: Waiting, person: Person) -> Seen:
        spot = self._spot(picture, person.number)
        if spot is not None:
            score = self._tracklets[spot.tracklet].score
            person.seen(picture.shot, spot.box.h, score, self._step_s(picture))
            self._sightings[person.number - 1] = Sighting(picture.t, picture.shot, spot.box)
            return Seen(person.number, spot.box, "reidentified" if spot.embedded else "detected")
        return Seen(person.number, self._between(picture, person.number), "tracked")

    def _between(self, picture: Waiting, number: int) -> Rect | None:
        """A box between two detections of a person, if they are near enough in time."""
        before, after = self._sightings[number - 1], self._next_sighting(picture, number)
        if before is None or before.shot != picture.shot:
            return None
        if after is None:
            return None if self._is_missed(picture) else before.box
        if after.t - before.t > self._settings.gap_s:
            return None
        return _blend(before.box, after.box, (picture.t - before.t) / (after.t - before.t))

    def _next_sighting(self, picture: Waiting, number: int) -> Sighting | None:
        for later in self._waiting[1:]:
            if later.shot != picture.shot:
                return None
            spot = self._spot(later, number)
            if spot is not None:
                return Sighting(later.t, later.shot, spot.box)
        return None

    def _is_missed(self, picture: Waiting) -> bool:
        """Whether the detector has looked for the person since the last detection, and in vain."""
        return picture.spots is not None or any(
            w.spots is not None and w.shot == picture.shot for w in self._waiting[1:]
        )

    def _spot(self, picture: Waiting, number: int) -> Spot | None:
        return next((s for s in picture.spots or () if self._tracklets[s.tracklet].person() == number), None)

    def _others(self, picture: Waiting) -> tuple[Rect, ...]:
        spots = picture.spots or ()
        return tuple(s.box for s in spots if self._tracklets[s.tracklet].person() not in (1, 2))


def _blend(a: Rect, b: Rect, share: float) -> Rect:
    return Rect(*(p + share * (q - p) for p, q in zip(_numbers(a), _numbers(b), strict=True)))


def _numbers(box: Rect) -> list[float]:
    return [box.x, box.y, box.w, box.h]


def _waiting_state(w: Waiting) -> list[Any]:
    spots = None if w.spots is None else [[s.tracklet, _numbers(s.box), s.embedded] for s in w.spots]
    return [w.pts, w.t, w.cut, w.shot, spots]


def _waiting(state: Sequence[Any]) -> Waiting:
    pts, t, cut, shot, spots = state
    found = None if spots is None else tuple(Spot(k, Rect(*box), embedded) for k, box, embedded in spots)
    return Waiting(pts, t, cut, shot, found)
