"""The joint assignment of tracklets to the two people, and of the people to tiles by position."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from pipeline.identity.appearance import appearance_nats
from pipeline.identity.person import Person
from pipeline.identity.tracklets import STRANGER, UNDECIDED, Tracklet
from pipeline.settings import IdentitySettings

# All evidence is in nats: natural logarithms of likelihood ratios.
PERSON_COST = 1.5  # nats against an unknown face being one of the two people
SCORE_NATS, SCORE_ZERO, SCORE_SPAN = 4.0, 0.6, 0.3
SIZE_SPREAD = 0.35  # of the logarithm of a person's face height within a shot
LEADING_NATS, SMALL_NATS = 1.5, -4.0  # for the leading face of a new shot, and most nats against a smaller one
ALONE_NATS = 0.5  # for the only person known, in a new shot
SINGLE_NATS = 0.0  # for either of two people, of a face that is seen alone in a new shot and has embeddings
LINK_NATS, MIN_LINK_NATS = 2.5, -2.0
LINK_MEMORY_S = 1.0  # decay time of the evidence of motion
DRIFT_S = 0.4  # decay time of an unseen face's speed
POSITION_SPREAD = 0.25  # face heights, growing by ...
POSITION_GROWTH = 1.5  # ... face heights per second unseen
SPEED_SPREAD = 2.5  # face heights per second
SAME_TRACK_NATS = 1.0  # for tracklets of one track
CONTINUITY_NATS = 1.5  # for keeping the label within a track
ORDER_NATS = 1.0  # for keeping the position across a cut
GAZE_NATS, GAZE_YAW = 0.5, 0.3  # after a cut, for a gaze that leads to the other person, and its full yaw
KEEP_PERSON, KEEP_STRANGER = 4.0, 1.5  # for keeping a label that has been shown
BEAM, BEAM_NATS = 96, 16.0  # most hypotheses, and nats behind the best at which one is dropped

APPEARS = ("cut", "entry")  # reasons of tracklets that nothing in the same shot leads to

Holders: TypeAlias = tuple["Tracklet | None", "Tracklet | None"]


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One labelling of the window: its score, each person's latest tracklet, and the labels in order."""

    score: float
    holders: Holders
    labels: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """The best hypothesis: labels by tracklet, and for people how much better it is than the best exchanged one."""

    labels: dict[int, int]
    margins: dict[int, float]


@dataclass(frozen=True, slots=True)
class Gain:
    """Nats for one person: of a face without a predecessor, and of its embeddings.

    ``looks_alone``: nothing but the embeddings says whose face this is.
    """

    face: float
    appearance: float
    looks_alone: bool = False


class Assigner:
    """Decides jointly whose the tracklets of a window are.

    The method is multiple hypothesis tracking (Reid 1979) with two targets and a beam. In order of their beginning,
    each tracklet may be person 1's, person 2's or a stranger's. Tracklets that were seen at the same time never go to
    one person. The score is the sum of the evidence of detector, motion and appearance.
    """

    def __init__(self, settings: IdentitySettings, width: int) -> None:
        self._settings = settings
        self._width = width

    def decide(
        self, tracklets: Sequence[Tracklet], anchors: Holders, people: Sequence[Person], returned_t: float
    ) -> Decision:
        """Label ``tracklets``; ``anchors`` are the two people's latest tracklets before the window.

        Tracklets that ended before ``returned_t`` have been shown completely and keep their labels.
        """
        order = sorted(tracklets, key=lambda k: (k.t0, k.id))
        beam = [Hypothesis(0.0, anchors, ())]
        for i, tracklet in enumerate(order):
            if tracklet.t1 < returned_t and tracklet.label != UNDECIDED:
                beam = [_settled(h, tracklet) for h in beam]
                continue
            before = next((j for j in range(i - 1, -1, -1) if order[j].track == tracklet.track), None)
            leading = max(k.height for k in order if k.shot == tracklet.shot)
            rivals = (k for k in order if k.height >= self._settings.least_size_ratio * tracklet.height)
            single = not any(_is_beside(k, tracklet) for k in rivals)
            gains = [self._gain(tracklet, p, leading, alone=len(people) == 1, single=single) for p in people]
            stay = 0.0 if before is None else CONTINUITY_NATS + link(order[before], tracklet)
            beam = _best([g for h in beam for g in self._extend(h, tracklet, people, gains, before, stay)])
        best = beam[0]
        labels = {k.id: label for k, label in zip(order, best.labels, strict=True)}
        margins = {k.id: _margin(beam, i, k) for i, k in enumerate(order) if best.labels[i] > STRANGER}
        return Decision(labels, margins)

    def appearance(self, tracklet: Tracklet, person: int) -> float | None:
        """Return the nats that the embeddings give for this person against a stranger; None without embeddings."""
        return appearance_nats(tracklet, person, self._settings)

    def _extend(
        self,
        hypothesis: Hypothesis,
        tracklet: Tracklet,
        people: Sequence[Person],
        gains: list[Gain],
        before: int | None,
        stay: float,
    ) -> list[Hypothesis]:
        """Return the hypothesis extended by one tracklet, with each possible label.

        ``before`` is the index of the same track's preceding tracklet, ``stay`` the evidence for the same label.
        """
        same = before is not None and hypothesis.labels[before] == STRANGER
        kept = KEEP_STRANGER if tracklet.label == STRANGER else stay if same else 0.0
        result = [_extended(hypothesis, tracklet, STRANGER, kept)]
        for person, gain in enumerate(gains, start=1):
            holder = hypothesis.holders[person - 1]
            if holder is None or holder.t1 < tracklet.t0:
                follows = not same and _follows(holder, tracklet, hypothesis.holders)
                nats = self._continuity(holder, tracklet, people[person - 1], gain, follows=follows)
                result.append(_extended(hypothesis, tracklet, person, nats))
        return result

    def _gain(self, tracklet: Tracklet, person: Person, leading: float, *, alone: bool, single: bool) -> Gain:
        """Return the evidence for a person that does not depend on predecessors: confidence, size and appearance.

        In a new shot the size is compared with that of the leading face. While no other person is known (``alone``), a
        face in a new shot may equally be the other person's, and a ``single`` face, beside which there is none of about
        its size, may be a stranger's, so that the embeddings decide.
        """
        looks = self.appearance(tracklet, person.number)
        appearance = looks or 0.0
        if alone and person.shot != tracklet.shot:
            return Gain(ALONE_NATS, appearance, looks_alone=True)
        if single and looks is not None and person.shot != tracklet.shot:
            return Gain(SINGLE_NATS, appearance, looks_alone=True)
        face = max(-2.0, min(3.0, SCORE_NATS * (tracklet.score - SCORE_ZERO) / SCORE_SPAN)) - PERSON_COST
        height = person.height_in(tracklet.shot)
        if height > 0:
            face -= 0.5 * (math.log(tracklet.height / height) / SIZE_SPREAD) ** 2
        else:
            face += LEADING_NATS + max(SMALL_NATS, math.log(tracklet.height / leading) / SIZE_SPREAD)
        return Gain(face, appearance)

    def _continuity(
        self, holder: Tracklet | None, tracklet: Tracklet, person: Person, gain: Gain, *, follows: bool
    ) -> float:
        """Return the evidence for a person whose latest tracklet is ``holder``.

        ``follows``: it is also the latest one of the same track.
        """
        if tracklet.label != UNDECIDED:
            return gain.appearance + max(0.0, gain.face) + (KEEP_PERSON if tracklet.label == person.number else 0.0)
        if holder is None:
            return gain.appearance + gain.face
        if follows:
            return gain.appearance + max(0.0, gain.face) + CONTINUITY_NATS + link(holder, tracklet)
        if holder.shot == tracklet.shot:
            same_track = SAME_TRACK_NATS if holder.track == tracklet.track else 0.0
            return gain.appearance + gain.face + link(holder, tracklet) - same_track
        if gain.looks_alone:
            return gain.appearance + gain.face
        expected = holder.last[0] if person.usual_x is None else person.usual_x
        order = 1 - 2 * abs(expected - tracklet.first[0]) / self._width
        gaze = max(-1.0, min(1.0, tracklet.yaw / GAZE_YAW)) * (1 if person.side == "left" else -1)
        return gain.appearance + gain.face + ORDER_NATS * order + GAZE_NATS * gaze


def _is_beside(other: Tracklet, tracklet: Tracklet) -> bool:
    """Return whether another face is seen together with this one."""
    return other is not tracklet and other.shot == tracklet.shot and other.t0 <= tracklet.t1 and tracklet.t0 <= other.t1


def _follows(holder: Tracklet | None, tracklet: Tracklet, holders: Holders) -> bool:
    """Return whether of the people's latest tracklets this one is the latest of the tracklet's track."""
    if holder is None or holder.track != tracklet.track:
        return False
    return holder.t1 == max(h.t1 for h in holders if h is not None and h.track == tracklet.track)


def _best(hypotheses: list[Hypothesis]) -> list[Hypothesis]:
    """Return the hypotheses to keep, best first; equal ones are sorted by labels, so the result is deterministic."""
    least = max(h.score for h in hypotheses) - BEAM_NATS
    return sorted((h for h in hypotheses if h.score >= least), key=lambda h: (-h.score, h.labels))[:BEAM]


def _settled(hypothesis: Hypothesis, tracklet: Tracklet) -> Hypothesis:
    return _extended(hypothesis, tracklet, tracklet.label, 0.0)


def _extended(hypothesis: Hypothesis, tracklet: Tracklet, label: int, nats: float) -> Hypothesis:
    first, second = hypothesis.holders
    holders = (tracklet if label == 1 else first, tracklet if label == 2 else second)
    return Hypothesis(hypothesis.score + nats, holders, (*hypothesis.labels, label))


def link(a: Tracklet, b: Tracklet) -> float:
    """Return the nats that motion gives for ``b`` being the continuation of ``a``, within a shot."""
    t, last = a.latest(b.t0)
    dt, size = b.t0 - t, (last[3] + b.first[3]) / 2
    drift = DRIFT_S * (1 - math.exp(-dt / DRIFT_S))
    dx, dy = (b.first[i] - last[i] - last[i + 4] * drift for i in (0, 1))
    dvx, dvy = (b.first[i + 4] - last[i + 4] for i in (0, 1))
    place = math.hypot(dx, dy) / size / (POSITION_SPREAD + POSITION_GROWTH * dt)
    speed = math.hypot(dvx, dvy) / size / SPEED_SPREAD
    growth = math.log(b.first[3] / last[3]) / SIZE_SPREAD
    nats = LINK_NATS - 0.5 * (place * place + speed * speed + growth * growth)
    return max(MIN_LINK_NATS, nats) * math.exp(-dt / LINK_MEMORY_S) + (SAME_TRACK_NATS if a.track == b.track else 0.0)


def _margin(beam: Sequence[Hypothesis], index: int, tracklet: Tracklet) -> float:
    """Return how much better the best hypothesis is than the best one with this tracklet as somebody else's.

    That is the other person's, and after a cut or an entry, where motion says nothing, a stranger's as well.
    """
    own = beam[0].labels[index]
    others = {3 - own, STRANGER} if tracklet.reason in APPEARS else {3 - own}
    rivals = [h.score for h in beam if h.labels[index] in others]
    return beam[0].score - max(rivals) if rivals else math.inf


@dataclass(slots=True)
class PositionOrder:
    """Position mode: the person who is on the left at present is in the left tile.

    Centres are smoothed exponentially. Both tiles change together, once people have been exchanged by a margin for a
    number of frames.
    """

    swapped: bool = False
    left_x: float | None = None
    right_x: float | None = None
    residence: int = 0

    def observe(self, left_x: float | None, right_x: float | None, width: int, settings: IdentitySettings) -> bool:
        """Take the centres of the left and the right person by identity; return whether to exchange them."""
        self.left_x = _smoothed(self.left_x, left_x, settings.position_smoothing)
        self.right_x = _smoothed(self.right_x, right_x, settings.position_smoothing)
        if self.left_x is None or self.right_x is None:
            return self.swapped
        past = (self.right_x - self.left_x if self.swapped else self.left_x - self.right_x) / width
        self.residence = self.residence + 1 if past > settings.position_margin else 0
        if self.residence >= settings.position_residence_frames:
            self.swapped, self.residence = not self.swapped, 0
        return self.swapped

    def cut(self) -> None:
        """Forget the positions, at the beginning of a new shot."""
        self.left_x = self.right_x = None
        self.residence = 0

    def state(self) -> dict[str, Any]:
        return asdict(self)


def _smoothed(mean: float | None, value: float | None, weight: float) -> float | None:
    if value is None or mean is None:
        return mean if value is None else value
    return mean + weight * (value - mean)
