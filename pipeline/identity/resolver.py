"""Faces in, people out: who of the two is where in every frame, decided with a look ahead."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

from pipeline.identity.assignment import Assigner, Decision
from pipeline.identity.recognition import CERTAIN, Embedder, FaceRecognizer
from pipeline.identity.scene_builder import SceneMaker, Spot, Waiting
from pipeline.identity.selection import Person, SubjectSelector
from pipeline.identity.statistics import IdentityRecord
from pipeline.identity.tracklets import CLEAR, STRANGER, UNDECIDED, Hit, Tracklet, TrackletBuilder, tracklet_state
from pipeline.people import Face, Observation, Scene
from pipeline.settings import IdentitySettings

MOST_FACES = 12  # followed in one frame: more are a crowd
UNLIKE = -1.0  # nats of embeddings against a person
MEMORY_S = 0.5  # tracklets wholly shown stay this long: what continues them is compared with them
LONGEST_STEP_S = 0.25  # presence between two detections counts at most this


class PeopleResolver:
    """Decides for every frame where the two people are.

    A frame waits until ``lookahead_s`` of later frames are known. Then the tracklets up to there are assigned
    jointly, and what has been decided for returned frames weighs in later decisions but can be overturned by
    evidence; a change takes effect with the first frame not yet returned. Everything is worked out frame by
    frame, so results do not depend on how frames are batched.
    """

    def __init__(
        self,
        settings: IdentitySettings,
        *,
        assignment: Literal["identity", "position"],
        lookahead_s: float,
        width: int,
        height: int,
        embed: Embedder | None,
    ) -> None:
        settings = _within(settings, lookahead_s)
        self._lookahead_s = lookahead_s
        self._builder = TrackletBuilder(settings)
        self._assigner = Assigner(settings, width)
        self._selector = SubjectSelector(settings, width, height)
        self._recognizer = FaceRecognizer(settings, embed, width, height)
        self._record = IdentityRecord()
        self._scenes = SceneMaker(settings, width, by_position=assignment == "position")
        self._waiting: list[Waiting] = []
        self._tracklets: dict[int, Tracklet] = {}
        self._anchors: list[Tracklet | None] = [None, None]
        self._detected_t = 0.0
        self._dirty = False

    def observe(self, frames: Sequence[Observation]) -> list[Scene]:
        """Take in the next frames; returns those that are decided now, in order, each exactly once."""
        scenes = []
        for frame in frames:
            self._take(frame)
            while self._waiting[0].t <= frame.t - self._lookahead_s:
                scenes.append(self._release(final=False))
        return scenes

    def finish(self) -> list[Scene]:
        """The file has ended: decide what is left."""
        scenes = []
        while self._waiting:
            scenes.append(self._release(final=True))
        self._builder.cut()
        self._forget()
        return scenes

    def summary(self) -> dict[str, Any]:
        """The report's identity section; see ``IdentityRecord.summary``."""
        return self._record.summary(self._people, self._recognizer)

    def state(self) -> dict[str, Any]:
        """Everything that later decisions depend on, as JSON can hold it."""
        return {
            "builder": self._builder.state(),
            "founding": self._selector.state(),
            "recogniser": self._recognizer.state(),
            "record": self._record.state(),
            "scenes": self._scenes.state(),
            "waiting": [w.state() for w in self._waiting],
            "detected_t": self._detected_t,
            "dirty": self._dirty,
            "tracklets": [tracklet_state(k) for k in self._tracklets.values()],
            "anchors": [None if k is None else tracklet_state(k) for k in self._anchors],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what ``state`` returned, before or after a trip through JSON."""
        tracklets = [Tracklet.restored(k) for k in state["tracklets"]]
        self._tracklets = {k.id: k for k in tracklets}
        self._builder.restore(state["builder"], self._tracklets)
        self._selector.restore(state["founding"])
        self._recognizer.restore(state["recogniser"])
        self._record = IdentityRecord.restored(state["record"])
        self._scenes.restore(state["scenes"])
        self._waiting = [Waiting.restored(w) for w in state["waiting"]]
        self._anchors = [None if k is None else Tracklet.restored(k) for k in state["anchors"]]
        self._detected_t, self._dirty = state["detected_t"], state["dirty"]

    @property
    def _people(self) -> list[Person]:
        return self._selector.people

    # Taking in

    def _take(self, frame: Observation) -> None:
        if frame.cut:
            self._builder.cut()
        self._recognizer.refill_budget()
        spots = None if frame.faces is None else self._track(frame)
        self._waiting.append(Waiting(frame.pts, frame.t, frame.cut, self._builder.shot, spots))

    def _track(self, frame: Observation) -> tuple[Spot, ...]:
        hits, born = self._builder.step(frame.t, _leading(frame.faces or ()), frame.cut)
        self._tracklets.update((k.id, k) for k in born)
        embedded = self._recognizer.look(
            frame.pts, frame.t, hits, self._tracklets, len(self._people), self._is_complete(hits)
        )
        for number in embedded:
            self._enrol(self._tracklets[number])
        self._dirty = self._dirty or bool(embedded)
        return tuple(Spot(h.tracklet, h.face.box, h.tracklet in embedded) for h in hits)

    def _is_complete(self, hits: Sequence[Hit]) -> bool:
        """Whether both people are seen for certain, so that everybody else is somebody else."""
        tracklets = (self._tracklets[h.tracklet] for h in hits)
        return {1, 2} <= {k.label for k in tracklets if k.margin >= CERTAIN}

    # Deciding

    def _release(self, final: bool) -> Scene:
        frame = self._waiting[0]
        if frame.spots is not None or self._dirty:
            self._decide(frame, final)
        if frame.spots is not None:
            self._note_presence(frame)
        scene = self._show(frame)
        self._waiting.pop(0)
        self._forget()
        return scene

    def _show(self, frame: Waiting) -> Scene:
        labels = {k.id: k.person() for k in self._tracklets.values()}
        boxes = self._scenes.locate(self._waiting, labels)
        if boxes[0].box and boxes[1].box:
            self._selector.settle_sides(frame.shot, boxes[0].box.cx, boxes[1].box.cx)
        self._record.returned([seen.box for seen in boxes])
        return self._scenes.scene(frame, [(p.side, boxes[p.number - 1]) for p in self._people], labels)

    def _decide(self, frame: Waiting, final: bool) -> None:
        window = list(self._tracklets.values())
        selected = self._selector.found(window, self._rejects(window), final)
        for tracklet in selected:
            self._selected(tracklet)
        if not self._people:
            return
        people = [k for k in window if k.label in (1, 2) and k.margin >= CERTAIN]
        undecided = [k for k in window if k.label == UNDECIDED and not self._is_third(k, people)]
        if self._dirty or selected or undecided:
            self._assign(window)
            self._dirty = False
        for tracklet in window:
            if tracklet.label == UNDECIDED and tracklet.t0 <= frame.t:
                self._commit(tracklet)

    def _is_third(self, tracklet: Tracklet, people: Sequence[Tracklet]) -> bool:
        """Whether both people are seen elsewhere, for certain, as long as this face is: then it is a stranger's."""
        elsewhere = {k.label for k in people if k.t0 < tracklet.t0 and tracklet.t1 <= k.t1}
        if len(elsewhere) == 2:
            tracklet.proposed, tracklet.margin = STRANGER, CLEAR
        return len(elsewhere) == 2

    def _rejects(self, window: Sequence[Tracklet]) -> dict[int, bool]:
        """Tracklets whose embeddings say that they are not the first person."""
        if len(self._people) != 1:
            return {}
        nats = {k.id: self._assigner.appearance(k, 1) for k in window}
        return {number: n is not None and n < UNLIKE for number, n in nats.items()}

    def _selected(self, tracklet: Tracklet) -> None:
        tracklet.margin = CLEAR
        self._record.selected(tracklet)
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
            self._recognizer.move(tracklet, before)
        self._record.overturned(tracklet, before, self._waiting[0].t)

    def _commit(self, tracklet: Tracklet) -> None:
        tracklet.label = max(STRANGER, tracklet.proposed)
        self._record.committed(tracklet)
        self._enrol(tracklet)

    def _enrol(self, tracklet: Tracklet) -> None:
        if tracklet.label != UNDECIDED:
            self._record.compare(tracklet)
            self._recognizer.enrol(tracklet)

    def _note_presence(self, frame: Waiting) -> None:
        """Count who was there, and give strangers their due: a person's place, or an identity that motion had lost."""
        seconds = min(LONGEST_STEP_S, frame.t - self._detected_t)
        self._detected_t = frame.t
        tracklets = [self._tracklets[s.tracklet] for s in frame.spots or ()]
        strangers = self._selector.note(tracklets, seconds)
        successor = self._selector.successor(strangers)
        if successor is not None:
            self._succeed(*successor)
            return
        for stranger in strangers:
            self._give_back(stranger)

    def _give_back(self, stranger: Tracklet) -> None:
        away = [p.number for p in self._selector.vacancies(stranger) if self._is_free(p.number, stranger)]
        looks = {k: self._assigner.appearance(stranger, k) for k in away}
        if self._recognizer.active:
            away = [k for k in away if (nats := looks[k]) is not None and nats >= UNLIKE]
        if not away or (len(away) > 1 and not self._recognizer.active):
            return
        stranger.label = max(away, key=lambda k: looks[k] or 0.0)
        stranger.margin = stranger.leaning = 0.0
        self._record.claimed(stranger, self._waiting[0].t)

    def _is_free(self, person: int, stranger: Tracklet) -> bool:
        return all(k.person() != person or k.t1 < stranger.t0 for k in self._tracklets.values())

    def _succeed(self, stranger: Tracklet, person: Person) -> None:
        """A stranger takes a person's number: nothing of the predecessor's is kept."""
        self._selector.replace(stranger, person)
        for tracklet in self._tracklets.values():
            if tracklet.person() == person.number:
                tracklet.label = STRANGER
        stranger.label, stranger.margin = person.number, CLEAR
        self._anchors[person.number - 1] = None
        self._scenes.forget(person.number)
        self._recognizer.begin(person.number)
        self._record.succeeded(stranger, self._waiting[0].t)
        self._enrol(stranger)

    def _forget(self) -> None:
        """Drop tracklets that ended a while before the oldest waiting frame; the people's latest stay as anchors."""
        live, oldest = self._builder.live(), self._waiting[0].t if self._waiting else math.inf
        for tracklet in [k for k in self._tracklets.values() if k.t1 < oldest - MEMORY_S and k.id not in live]:
            del self._tracklets[tracklet.id]
            self._record.closed(tracklet, self._leaning(tracklet))
            if tracklet.label in (1, 2):
                self._anchor(tracklet)

    def _anchor(self, tracklet: Tracklet) -> None:
        anchor = self._anchors[tracklet.label - 1]
        if anchor is None or anchor.t1 <= tracklet.t1:
            tracklet.views, tracklet.evidence = [], []
            self._anchors[tracklet.label - 1] = tracklet


def _within(settings: IdentitySettings, lookahead_s: float) -> IdentitySettings:
    """The settings with spans that a short look-ahead can still oversee."""
    spans = {"gap_s": min(settings.gap_s, lookahead_s), "stable_s": min(settings.stable_s, lookahead_s / 2)}
    return settings.model_copy(update=spans)


def _leading(faces: Sequence[Face]) -> Sequence[Face]:
    """The faces that are worth following: in a crowd, the largest and clearest."""
    if len(faces) <= MOST_FACES:
        return faces
    least = sorted((f.box.h * f.score for f in faces), reverse=True)[MOST_FACES - 1]
    return [f for f in faces if f.box.h * f.score >= least]
