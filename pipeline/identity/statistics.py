"""Statistics of identity for the report: presence, similarity, suspected and repaired exchanges."""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from typing import Any

from pipeline.identity.confidence import confidence
from pipeline.identity.person import Person
from pipeline.identity.recognition import VERIFY_S, FaceRecognizer
from pipeline.identity.tracklets import STRANGER, UNCONTESTED, Tracklet
from pipeline.people import Seen

EPISODE_S = 1.0  # suspicions nearer than this count as one
PASSING_S = 0.5  # shorter tracklets in contact show people who pass each other
DOUBTFUL = 0.9  # a tracklet with less confidence is a place of doubt
SAME_EVENT_S = 0.1  # decisions about tracklets that begin together are one: if one is wrong, so is the other
SHOWN_WRONG = 0.05  # confidence of what was shown before a decision was changed
SEEN_WRONG_S = 0.2  # what was wrong for a shorter time is not seen
REPLACED = 0.5  # confidence that who replaces a person is the right one
MOST_EVENTS = 8  # remembered, as tracklets of one event end at different times
MAX_EVENTS = 1000  # listed in the report; all of them are counted
CONTESTED = ("contact", "parted", "jump", "cut")


@dataclass(slots=True)
class Comparison:
    """Sums over the embeddings of one person's face."""

    own: int = 0
    own_distance: float = 0.0
    both: int = 0
    margin: float = 0.0

    def add(self, own: float | None, other: float | None) -> None:
        if own is None:
            return
        self.own, self.own_distance = self.own + 1, self.own_distance + own
        if other is not None:
            self.both, self.margin = self.both + 1, self.margin + other - own


@dataclass(slots=True)
class IdentityRecord:
    """Collects the figures of the summary as decisions are made; plain values, so that a checkpoint can hold them."""

    frames: int = 0
    both: int = 0
    present: list[int] = field(default_factory=lambda: [0, 0])
    heads: list[int] = field(default_factory=lambda: [0, 0])  # of the frames in ``present``, those without a face
    comparisons: list[Comparison] = field(default_factory=lambda: [Comparison(), Comparison()])
    log_confidence: float = 0.0
    events: list[list[float]] = field(default_factory=list)  # the latest decisions as (t, log of the confidence)
    suspected: list[dict[str, Any]] = field(default_factory=list)
    repaired: list[dict[str, Any]] = field(default_factory=list)
    replaced: list[dict[str, Any]] = field(default_factory=list)
    doubts: list[dict[str, Any]] = field(default_factory=list)
    pictures: list[list[float]] = field(default_factory=list)  # (person, t): a picture was taken for them until then
    suspected_total: int = 0
    repaired_total: int = 0
    suspected_t: float = -1e9
    person_of_track: list[list[int]] = field(default_factory=list)  # the latest tracks as (track, person)

    def selected(self, tracklet: Tracklet) -> None:
        """Record a tracklet whose face was selected as one of the two people."""
        self._remember(tracklet)

    def succeeded(self, tracklet: Tracklet, t: float) -> None:
        """Record a stranger who replaced a person."""
        _append(self.replaced, {"t": round(t, 3), "person": tracklet.label})
        self._doubt(0.0, t, "replaced", tracklet.label, SHOWN_WRONG)
        self.log_confidence += math.log(REPLACED)
        self._remember(tracklet)

    def was_picture(self, person: int, t: float) -> None:
        """Record that a poster or a photograph was taken for a person until ``t``."""
        self.pictures.append([person, t])

    def claimed(self, tracklet: Tracklet, t: float) -> None:
        """Record a stranger's tracklet that was given to an absent person."""
        self._suspect(t, tracklet)
        self._remember(tracklet)

    def committed(self, tracklet: Tracklet) -> None:
        """Record a first decision, before any frame of the tracklet was returned."""
        if tracklet.label == STRANGER:
            return
        if tracklet.reason in CONTESTED:
            self._suspect(tracklet.t0, tracklet)
        before = next((person for track, person in self.person_of_track if track == tracklet.track), tracklet.label)
        if before != tracklet.label:
            self._repair(tracklet.t0, tracklet, before, shown=False)
        self._remember(tracklet)

    def overturned(self, tracklet: Tracklet, before: int, t: float) -> None:
        """Record a changed decision after frames of the tracklet had been returned; it is right from ``t`` on."""
        if STRANGER not in (before, tracklet.label):
            self._suspect(t, tracklet)
            self._repair(t, tracklet, before, shown=True)
        if before != STRANGER:
            self._doubt(tracklet.t0, t, "repaired", before, SHOWN_WRONG)
            if t - tracklet.t0 >= SEEN_WRONG_S:
                self._decided(tracklet.t0, SHOWN_WRONG)
        self._remember(tracklet)

    def was_the_other(self, tracklet: Tracklet, t: float) -> None:
        """Record that a tracklet shows the other person by now: since at most ``VERIFY_S``."""
        self._doubt(max(tracklet.t0, t - VERIFY_S), t, "jump", tracklet.label, SHOWN_WRONG)
        self._decided(t, SHOWN_WRONG)

    def closed(self, tracklet: Tracklet, own: float | None, other: float | None) -> None:
        """Take a finished tracklet into the confidence.

        ``own`` and ``other`` are the evidence of all its embeddings for its person and the other one, in nats.
        """
        least = PASSING_S if tracklet.contact else SEEN_WRONG_S
        if tracklet.label not in (1, 2) or tracklet.t1 - tracklet.t0 < least:
            return
        if tracklet.margin < UNCONTESTED:
            right = confidence(tracklet, own, other)
            self._decided(tracklet.t0, right)
            if right < DOUBTFUL:
                self._doubt(tracklet.t0, tracklet.t1, tracklet.reason, tracklet.label, right)

    def compare(self, tracklet: Tracklet) -> None:
        """Count the embeddings of a tracklet that have come since the last call."""
        new = tracklet.embedded - tracklet.reported
        tracklet.reported = tracklet.embedded
        if new <= 0 or tracklet.label == STRANGER:
            return
        for pair in tracklet.evidence[-new:]:
            self.comparisons[tracklet.label - 1].add(pair[tracklet.label - 1], pair[2 - tracklet.label])

    def returned(self, people: Sequence[Seen]) -> None:
        """Count a returned frame that shows persons 1 and 2 so."""
        self.frames += 1
        self.both += all(seen.box is not None for seen in people)
        for i, seen in enumerate(people):
            self.present[i] += seen.box is not None
            self.heads[i] += seen.box is not None and seen.source == "head"

    def summary(self, people: Sequence[Person], recognizer: FaceRecognizer) -> dict[str, Any]:
        """Return the report's identity section; times in seconds since the first frame.

        ``left`` and ``right`` are null where there was no such person. ``presence`` are shares of all frames: with the
        person's face, with their head alone, and without them; ``presence_ratio`` is that of the first two together.
        Similarity is 1 minus the Euclidean distance of embeddings to the person's own views, the margin is how much
        farther they are from the other person's; both are null without embeddings. ``confidence`` is the probability
        that the two tiles never showed somebody else: the product over all decisions. ``doubts`` are the spans that
        lower it most, with the reason why a decision was needed (entry, cut, jump, contact or parted; repaired or
        replaced where it was changed) and the probability that the person was right.
        """
        frames = max(1, self.frames)
        sides = {p.side: self._person(p) for p in people}
        return {
            "people_seen": len(people),
            "left": sides.get("left"),
            "right": sides.get("right"),
            "suspected_swaps": deepcopy(self.suspected),
            "suspected_swaps_total": self.suspected_total,
            "repaired_swaps": deepcopy(self.repaired),
            "repaired_swaps_total": self.repaired_total,
            "replaced_people": deepcopy(self.replaced),
            "doubts": sorted(deepcopy(self.doubts), key=lambda d: (d["from_s"], d["person"])),
            "reid_activation_ratio": round(recognizer.activations / frames, 4),
            "both_visible_ratio": round(self.both / frames, 4),
            "confidence": round(math.exp(self.log_confidence), 4),
            "reidentification": recognizer.condition,
            "reidentification_error": recognizer.failure,
        }

    def pictures_until(self) -> dict[int, float]:
        """Return until when, in seconds, a picture was taken for which people."""
        return {int(person): t for person, t in self.pictures}

    def state(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def restored(cls, state: dict[str, Any]) -> IdentityRecord:
        state = deepcopy(state)
        return cls(**{**state, "comparisons": [Comparison(**c) for c in state["comparisons"]]})

    def _person(self, person: Person) -> dict[str, Any]:
        n = person.number - 1
        c, frames, present, heads = self.comparisons[n], max(1, self.frames), self.present[n], self.heads[n]
        return {
            "person": person.number,
            "presence_ratio": round(present / frames, 4),
            "presence": {
                "face_seen": round((present - heads) / frames, 4),
                "head_seen": round(heads / frames, 4),
                "away": round((self.frames - present) / frames, 4),
            },
            "mean_similarity": round(1 - c.own_distance / c.own, 4) if c.own else None,
            "mean_margin": round(c.margin / c.both, 4) if c.both else None,
        }

    def _decided(self, t: float, right: float) -> None:
        """Multiply the probability that a decision is right into the confidence, once for each event."""
        event = next((e for e in self.events if abs(e[0] - t) <= SAME_EVENT_S), None)
        if event is None:
            event = [t, 0.0]
            self.events = [*self.events, event][-MOST_EVENTS:]
        lower = min(event[1], math.log(right))
        self.log_confidence += lower - event[1]
        event[1] = lower

    def _doubt(self, from_s: float, to_s: float, reason: str, person: int, confidence: float) -> None:
        """Add a span of doubt, or extend the one of the same person that it follows."""
        before = next((d for d in reversed(self.doubts) if d["person"] == person), None)
        if before and from_s <= before["to_s"] + EPISODE_S:
            before["from_s"] = min(before["from_s"], round(from_s, 3))
            before["to_s"] = max(before["to_s"], round(to_s, 3))
            if confidence < before["confidence"]:
                before["confidence"], before["reason"] = round(confidence, 4), reason
            return
        span = {"from_s": round(from_s, 3), "to_s": round(to_s, 3), "reason": reason, "person": person}
        _append(self.doubts, span | {"confidence": round(confidence, 4)})

    def _suspect(self, t: float, tracklet: Tracklet) -> None:
        if t - self.suspected_t >= EPISODE_S:
            self.suspected_total += 1
            _append(self.suspected, {"t": round(t, 3), "reason": tracklet.reason, "person": tracklet.label})
        self.suspected_t = t

    def _repair(self, t: float, tracklet: Tracklet, before: int, *, shown: bool) -> None:
        self.repaired_total += 1
        event = {"t": round(t, 3), "reason": tracklet.reason, "from": before, "to": tracklet.label, "shown": shown}
        _append(self.repaired, event)

    def _remember(self, tracklet: Tracklet) -> None:
        others = [[track, person] for track, person in self.person_of_track if track != tracklet.track]
        self.person_of_track = [*others, [tracklet.track, tracklet.label]][-8:]


def _append(events: list[dict[str, Any]], event: dict[str, Any]) -> None:
    if len(events) < MAX_EVENTS:
        events.append(event)
