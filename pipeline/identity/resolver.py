"""Resolves detected faces to the two people, frame by frame and with look-ahead."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

from pipeline.identity.appearance import is_the_other
from pipeline.identity.assignment import APPEARS, Assigner, Decision
from pipeline.identity.followed_head import HeadEyes
from pipeline.identity.head_follower import HeadFollower
from pipeline.identity.lost_faces import lost_faces
from pipeline.identity.person import Person
from pipeline.identity.recognition import MIN_ENROL_NATS, Embedder, FaceRecognizer
from pipeline.identity.scene_builder import FaceSpot, PendingFrame, SceneBuilder
from pipeline.identity.selection import SubjectSelector
from pipeline.identity.statistics import IdentityRecord
from pipeline.identity.tracklets import (
    STRANGER,
    UNCONTESTED,
    UNDECIDED,
    TrackedFace,
    Tracklet,
    TrackletBuilder,
    tracklet_state,
)
from pipeline.people import Face, Observation, Scene
from pipeline.settings import IdentitySettings

MAX_FACES = 12  # tracked in one frame
UNLIKE = -1.0  # nats of embeddings: below this a face is not the person's
MEMORY_S = 0.5  # tracklets stay in the window for so long after their last frame was returned
MAX_STEP_S = 0.25  # presence between two detections counts at most this long


class PeopleResolver:
    """Decides for every frame where the two people are.

    A frame waits until ``lookahead_s`` of later frames are known. Then the tracklets of this window are assigned
    jointly. Decisions about returned frames have weight in later ones, but evidence can overturn them; a change takes
    effect with the first frame that has not been returned. All work is done frame by frame, so the result does not
    depend on the batches.
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
        eyes: HeadEyes | None = None,
    ) -> None:
        self._settings = settings = _within(settings, lookahead_s)
        self._lookahead_s = lookahead_s
        self._builder = TrackletBuilder(settings)
        self._assigner = Assigner(settings, width)
        self._selector = SubjectSelector(settings, width, height)
        self._recognizer = FaceRecognizer(settings, embed, width, height)
        self._heads = HeadFollower(eyes, width, height)
        self._record = IdentityRecord()
        self._scenes = SceneBuilder(settings, width, by_position=assignment == "position")
        self._waiting: list[PendingFrame] = []
        self._tracklets: dict[int, Tracklet] = {}
        self._anchors: list[Tracklet | None] = [None, None]
        self._detected_t = 0.0
        self._dirty = False

    def observe(self, frames: Sequence[Observation]) -> list[Scene]:
        """Take the next frames; return those that are decided now, in order, each exactly once."""
        scenes = []
        for frame in frames:
            self._take(frame)
            while self._waiting[0].t <= frame.t - self._lookahead_s:
                scenes.append(self._release(final=False))
        return scenes

    def finish(self) -> list[Scene]:
        """Decide and return the remaining frames, at the end of the file."""
        scenes = []
        while self._waiting:
            scenes.append(self._release(final=True))
        self._builder.cut()
        self._forget()
        return scenes

    def summary(self) -> dict[str, Any]:
        """Return the report's identity section; see ``IdentityRecord.summary``."""
        return self._record.summary(self._people, self._recognizer)

    def state(self) -> dict[str, Any]:
        """Return all that later decisions depend on, as JSON values."""
        return {
            "builder": self._builder.state(),
            "founding": self._selector.state(),
            "recogniser": self._recognizer.state(),
            "heads": self._heads.state(),
            "record": self._record.state(),
            "scenes": self._scenes.state(),
            "waiting": [w.state() for w in self._waiting],
            "detected_t": self._detected_t,
            "dirty": self._dirty,
            "tracklets": [tracklet_state(k) for k in self._tracklets.values()],
            "anchors": [None if k is None else tracklet_state(k) for k in self._anchors],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from the state of another resolver with the same arguments."""
        tracklets = [Tracklet.restored(k) for k in state["tracklets"]]
        self._tracklets = {k.id: k for k in tracklets}
        self._builder.restore(state["builder"], self._tracklets)
        self._selector.restore(state["founding"])
        self._recognizer.restore(state["recogniser"])
        self._heads.restore(state["heads"])
        self._record = IdentityRecord.restored(state["record"])
        self._scenes.restore(state["scenes"])
        self._waiting = [PendingFrame.restored(w) for w in state["waiting"]]
        self._anchors = [None if k is None else Tracklet.restored(k) for k in state["anchors"]]
        self._detected_t, self._dirty = state["detected_t"], state["dirty"]

    @property
    def _people(self) -> list[Person]:
        return self._selector.people

    # frames in

    def _take(self, frame: Observation) -> None:
        if frame.cut:
            self._builder.cut()
        self._recognizer.refill_budget()
        spots = None if frame.faces is None else self._track(frame)
        self._waiting.append(PendingFrame(frame.pts, frame.t, frame.cut, self._builder.shot, spots))

    def _track(self, frame: Observation) -> tuple[FaceSpot, ...]:
        hits, born = self._builder.step(frame.t, _leading(frame.faces or ()), frame.cut)
        self._tracklets.update((k.id, k) for k in born)
        self._selector.observe(frame.t, [self._tracklets[h.tracklet] for h in hits])
        embedded = self._recognizer.embed(
            frame.pts, frame.t, hits, self._tracklets, len(self._people), self._is_complete(hits)
        )
        for number in embedded:
            self._check(self._tracklets[number], frame.t)
            self._enrol(self._tracklets[number])
        self._dirty = self._dirty or bool(embedded)
        faces = [FaceSpot(h.tracklet, h.face.box, h.tracklet in embedded) for h in hits]
        return (*faces, *self._follow_heads(frame, hits))

    def _follow_heads(self, frame: Observation, hits: Sequence[TrackedFace]) -> list[FaceSpot]:
        """Return the heads of people who are tracked and whose face is not seen in a frame."""
        lost = lost_faces(self._builder.lost(), hits, self._tracklets, self._waiting)
        heads = self._heads.step(frame.pts, frame.t, lost, [h.face.box for h in hits])
        self._builder.follow(heads)
        return [FaceSpot(face.tracklet, heads[face.track], head=True) for face in lost if face.track in heads]

    def _check(self, tracklet: Tracklet, t: float) -> None:
        """End a tracklet that shows the other person by now, as after a cut that was not found."""
        if tracklet.label in (1, 2) and is_the_other(tracklet, self._settings):
            tracklet.views = tracklet.views[:-1]
            self._builder.suspect(tracklet.track)
            self._record.was_the_other(tracklet, t)

    def _is_complete(self, hits: Sequence[TrackedFace]) -> bool:
        """Return whether both people are seen for certain, so that all other faces are strangers'."""
        tracklets = (self._tracklets[h.tracklet] for h in hits)
        return {1, 2} <= {k.label for k in tracklets if k.margin >= MIN_ENROL_NATS}

    # decisions

    def _release(self, final: bool) -> Scene:
        frame = self._waiting[0]
        if frame.spots is not None or self._dirty:
            self._decide(frame, final)
        if frame.spots is not None:
            self._update_presence(frame)
        scene = self._show(frame)
        self._waiting.pop(0)
        self._forget()
        return scene

    def _show(self, frame: PendingFrame) -> Scene:
        labels = {k.id: k.person() for k in self._tracklets.values()}
        boxes = self._scenes.locate(self._waiting, labels)
        if boxes[0].box and boxes[1].box:
            self._selector.settle_sides(frame.shot, boxes[0].box.cx, boxes[1].box.cx)
        self._record.returned(boxes)
        return self._scenes.scene(frame, [(p.side, boxes[p.number - 1]) for p in self._people], labels)

    def _decide(self, frame: PendingFrame, final: bool) -> None:
        window = list(self._tracklets.values())
        selected = self._selector.select(window, self._rejects(window), final)
        for tracklet in selected:
            self._selected(tracklet)
        if not self._people:
            return
        people = [k for k in window if k.label in (1, 2) and k.margin >= MIN_ENROL_NATS]
        undecided = [k for k in window if k.label == UNDECIDED and not self._is_excluded(k, people)]
        if self._dirty or selected or undecided:
            self._assign(window)
            self._dirty = False
        for tracklet in window:
            if tracklet.label == UNDECIDED and tracklet.t0 <= frame.t:
                self._commit(tracklet)

    def _is_excluded(self, tracklet: Tracklet, people: Sequence[Tracklet]) -> bool:
        """Return whether both people are seen for certain elsewhere all the while; then the face is a stranger's."""
        elsewhere = {k.label for k in people if k.t0 < tracklet.t0 and tracklet.t1 <= k.t1}
        if len(elsewhere) == 2:
            tracklet.proposed, tracklet.margin = STRANGER, UNCONTESTED
        return len(elsewhere) == 2

    def _rejects(self, window: Sequence[Tracklet]) -> dict[int, bool]:
        """Return for each tracklet whether its embeddings say that it is not the first person's."""
        if len(self._people) != 1:
            return {}
        nats = {k.id: self._assigner.appearance(k, 1) for k in window}
        return {number: n is not None and n < UNLIKE for number, n in nats.items()}

    def _selected(self, tracklet: Tracklet) -> None:
        tracklet.margin = UNCONTESTED
        if (likeness := self._assigner.appearance(tracklet, 3 - tracklet.label)) is not None and likeness < UNLIKE:
            tracklet.margin, tracklet.appearance_margin = max(MIN_ENROL_NATS, -likeness), -likeness
        self._record.selected(tracklet)
        self._enrol(tracklet)

    def _assign(self, window: Sequence[Tracklet]) -> None:
        anchors = (self._anchors[0], self._anchors[1])
        decision = self._assigner.decide(window, anchors, self._people, self._waiting[0].t)
        for tracklet in window:
            label = decision.labels[tracklet.id]
            if tracklet.label == UNDECIDED:
                tracklet.proposed = label
                self._set_margin(tracklet, decision)
            elif label != tracklet.label:
                self._overturn(tracklet, label)
                self._set_margin(tracklet, decision)

    def _set_margin(self, tracklet: Tracklet, decision: Decision) -> None:
        tracklet.margin = min(UNCONTESTED, decision.margins.get(tracklet.id, UNCONTESTED))
        tracklet.appearance_margin = self._appearance_margin(tracklet)

    def _appearance_margin(self, tracklet: Tracklet) -> float:
        """Return the nats that the embeddings give for the tracklet's person against the other one, or a stranger."""
        own, other = self._likenesses(tracklet)
        against = (own or 0.0) - (other or 0.0)
        return min(own, against) if own is not None and tracklet.reason in APPEARS else against

    def _likenesses(self, tracklet: Tracklet) -> tuple[float | None, float | None]:
        """Return the nats that the embeddings give for the tracklet's person, and for the other one."""
        first, second = (self._assigner.appearance(tracklet, k) for k in (1, 2))
        return (first, second) if tracklet.person() == 1 else (second, first)

    def _overturn(self, tracklet: Tracklet, label: int) -> None:
        """Change the label of a tracklet that has been shown, from the next frame on."""
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

    def _update_presence(self, frame: PendingFrame) -> None:
        """Update presence; a stranger may replace a person, or turn out to be one whom motion had lost."""
        seconds = min(MAX_STEP_S, frame.t - self._detected_t)
        self._detected_t = frame.t
        tracklets = [self._tracklets[s.tracklet] for s in frame.spots or () if not s.head]
        heads = {self._tracklets[s.tracklet].label for s in frame.spots or () if s.head}
        strangers = self._selector.note(tracklets, seconds, heads)
        successor = self._selector.successor(strangers)
        if successor is not None:
            self._replace_person(*successor)
            return
        for stranger in strangers:
            self._reclaim(stranger)

    def _reclaim(self, stranger: Tracklet) -> None:
        away = [p.number for p in self._selector.vacancies(stranger) if self._is_free(p.number, stranger)]
        looks = {k: self._assigner.appearance(stranger, k) for k in away}
        if self._recognizer.active:
            away = [k for k in away if (nats := looks[k]) is not None and nats >= self._least_nats(stranger, k)]
        if not away or (len(away) > 1 and not self._recognizer.active):
            return
        stranger.label = max(away, key=lambda k: looks[k] or 0.0)
        stranger.margin = stranger.appearance_margin = 0.0
        self._record.claimed(stranger, self._waiting[0].t)

    def _least_nats(self, stranger: Tracklet, person: int) -> float:
        """Return the nats of embeddings from which a stranger may be an absent person, who may be in another shot."""
        return UNLIKE if self._people[person - 1].shot == stranger.shot else 0.0

    def _is_free(self, person: int, stranger: Tracklet) -> bool:
        return all(k.person() != person or k.t1 < stranger.t0 for k in self._tracklets.values())

    def _replace_person(self, stranger: Tracklet, person: Person) -> None:
        """Give a person's number to a stranger, and forget the predecessor."""
        if person.is_picture:
            self._record.was_picture(person.number, self._waiting[0].t)
        self._selector.replace(stranger, person)
        for tracklet in self._tracklets.values():
            tracklet.forget_comparisons(person.number)
            if tracklet.person() == person.number:
                tracklet.label = STRANGER
        stranger.label, stranger.margin = person.number, UNCONTESTED
        self._anchors[person.number - 1] = None
        self._scenes.forget(person.number)
        self._recognizer.begin(person.number)
        self._record.succeeded(stranger, self._waiting[0].t)
        self._enrol(stranger)

    def _forget(self) -> None:
        """Drop tracklets that ended well before the oldest pending frame; keep each person's latest one as anchor."""
        live, oldest = self._builder.live(), self._waiting[0].t if self._waiting else math.inf
        live |= {s.tracklet for frame in self._waiting for s in frame.spots or () if s.head}
        for tracklet in [k for k in self._tracklets.values() if k.t1 < oldest - MEMORY_S and k.id not in live]:
            del self._tracklets[tracklet.id]
            self._record.closed(tracklet, *self._likenesses(tracklet))
            if tracklet.label in (1, 2):
                self._anchor(tracklet)

    def _anchor(self, tracklet: Tracklet) -> None:
        anchor = self._anchors[tracklet.label - 1]
        if anchor is None or anchor.t1 <= tracklet.t1:
            tracklet.views, tracklet.evidence, tracklet.separation = [], [], []
            self._anchors[tracklet.label - 1] = tracklet


def _within(settings: IdentitySettings, lookahead_s: float) -> IdentitySettings:
    """Return the settings with spans that fit into the look-ahead."""
    spans = {"gap_s": min(settings.gap_s, lookahead_s), "stable_s": min(settings.stable_s, lookahead_s / 2)}
    return settings.model_copy(update=spans)


def _leading(faces: Sequence[Face]) -> Sequence[Face]:
    """Return the faces to track: in a crowd, the largest and clearest."""
    if len(faces) <= MAX_FACES:
        return faces
    least = sorted((f.box.h * f.score for f in faces), reverse=True)[MAX_FACES - 1]
    return [f for f in faces if f.box.h * f.score >= least]
