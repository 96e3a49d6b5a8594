"""Who is who: the joint assignment of tracklets to two people, and of the two people to tiles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from pipeline.identity.selection import Person
from pipeline.identity.tracklets import STRANGER, UNDECIDED, Tracklet
from pipeline.settings import IdentitySettings

# All evidence is in nats: natural logarithms of how much likelier it makes an assignment.
CLAIM = 1.5  # an unknown face must show more than this to be one of the two people
SCORE_NATS, SCORE_ZERO, SCORE_SPAN = 4.0, 0.6, 0.3
SIZE_SPREAD = 0.35  # of the logarithm of a person's face height within a shot
LINK_NATS, LINK_LEAST = 2.5, -2.0
LINK_MEMORY_S = 1.0  # after this time motion has lost most of its meaning
DRIFT_S = 0.4  # an unseen face keeps its speed for about this long
POSITION_SPREAD = 0.25  # face heights, growing by ...
POSITION_GROWTH = 1.5  # ... face heights per second unseen
SPEED_SPREAD = 2.5  # face heights per second
SAME_TRACK = 1.0  # the tracker thought so too
GOES_ON = 1.5  # a track that goes on rather keeps its label, be it a stranger's
ORDER_NATS = 0.5  # across a cut people rather keep their sides
KEEP_PERSON, KEEP_STRANGER = 4.0, 1.5  # what has been shown already is not changed lightly
APPEARANCE_LIMIT = 4.0  # what one embedding may weigh
FURTHER_VIEW = 0.5  # embeddings of one tracklet are alike: each further one counts half
BEAM, HOPELESS = 96, 16.0  # hypotheses that are kept, and nats behind the best at which one is given up

Holders: TypeAlias = tuple["Tracklet | None", "Tracklet | None"]


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One way to see the window: its score, each person's latest tracklet, and a label per tracklet, in order."""

    score: float
    holders: Holders
    labels: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """The best hypothesis: labels by tracklet, and for people how much worse the best exchanged hypothesis is."""

    labels: dict[int, int]
    margins: dict[int, float]


@dataclass(frozen=True, slots=True)
class Gain:
    """Nats for one person: of a face where none was followed before, and of its embeddings."""

    face: float
    appearance: float


class Assigner:
    """Decides jointly whose tracklets those of a window are.

    The tracklets are taken in order of their beginning, and each may be person 1, person 2 or a stranger's: multiple
    hypothesis tracking (Reid 1979) with two targets and a beam. A person has one face: tracklets that were seen at
    the same time never go to one person. The score adds up what the detector, motion and appearance say.
    """

    def __init__(self, settings: IdentitySettings, width: int) -> None:
        self._settings = settings
        self._width = width

    def decide(
        self, tracklets: Sequence[Tracklet], anchors: Holders, people: Sequence[Person], returned_t: float
    ) -> Decision:
        """Label ``tracklets``; ``anchors`` are the two people's latest tracklets from before the window.

        Tracklets that ended before ``returned_t`` have been shown as a whole and keep their label.
        """
        order = sorted(tracklets, key=lambda k: (k.t0, k.id))
        beam = [Hypothesis(0.0, anchors, ())]
        for i, tracklet in enumerate(order):
            if tracklet.t1 < returned_t and tracklet.label != UNDECIDED:
                beam = [_settled(h, tracklet) for h in beam]
                continue
            before = next((j for j in range(i - 1, -1, -1) if order[j].track == tracklet.track), None)
            gains = [self._gain(tracklet, p) for p in people]
            stay = 0.0 if before is None else GOES_ON + link(order[before], tracklet)
            beam = _best([g for h in beam for g in self._extend(h, tracklet, gains, before, stay)])
        best = beam[0]
        labels = {k.id: label for k, label in zip(order, best.labels, strict=True)}
        margins = {k.id: _margin(beam, i) for i, k in enumerate(order) if best.labels[i] > STRANGER}
        return Decision(labels, margins)

    def appearance(self, tracklet: Tracklet, person: int) -> float | None:
        """Nats that the embeddings give for this person against a stranger; None without embeddings."""
        own = [d for pair in tracklet.evidence if (d := pair[person - 1]) is not None]
        if not own:
            return None
        limit, spread = self._settings.stranger_distance, self._settings.embedding_spread
        nats = [(limit * limit - d * d) / (2 * spread * spread) for d in own]
        mean = sum(max(-APPEARANCE_LIMIT, min(APPEARANCE_LIMIT, n)) for n in nats) / len(nats)
        return mean * (1 + FURTHER_VIEW * (len(nats) - 1))

    def _extend(
        self, hypothesis: Hypothesis, tracklet: Tracklet, gains: list[Gain], before: int | None, stay: float
    ) -> list[Hypothesis]:
        """The hypothesis with each label for one more tracklet.

        ``before`` is the place of the same track's tracklet before this one, ``stay`` what speaks for the same label:
        a stranger's face goes on as a person's does.
        """
        same = before is not None and hypothesis.labels[before] == STRANGER
        kept = KEEP_STRANGER if tracklet.label == STRANGER else stay if same else 0.0
        result = [_extended(hypothesis, tracklet, STRANGER, kept)]
        for person, gain in enumerate(gains, start=1):
            holder = hypothesis.holders[person - 1]
            if holder is None or holder.t1 < tracklet.t0:
                nats = self._continuity(holder, tracklet, person, gain)
                result.append(_extended(hypothesis, tracklet, person, nats))
        return result

    def _gain(self, tracklet: Tracklet, person: Person) -> Gain:
        """What speaks for a person whatever came before: a confident face, of the right size, like the person's."""
        face = max(-2.0, min(3.0, SCORE_NATS * (tracklet.score - SCORE_ZERO) / SCORE_SPAN)) - CLAIM
        height = person.height_in(tracklet.shot)
        if height > 0:
            face -= 0.5 * (math.log(tracklet.height / height) / SIZE_SPREAD) ** 2
        return Gain(face, self.appearance(tracklet, person.number) or 0.0)

    def _continuity(self, holder: Tracklet | None, tracklet: Tracklet, person: int, gain: Gain) -> float:
        if tracklet.label != UNDECIDED:
            return gain.appearance + max(0.0, gain.face) + (KEEP_PERSON if tracklet.label == person else 0.0)
        if holder is None:
            return gain.appearance + gain.face
        if holder.track == tracklet.track:
            return gain.appearance + GOES_ON + link(holder, tracklet)
        if holder.shot == tracklet.shot:
            return gain.appearance + gain.face + link(holder, tracklet)
        order = 1 - 2 * abs(holder.last[0] - tracklet.first[0]) / self._width
        return gain.appearance + gain.face + ORDER_NATS * order


def _best(hypotheses: list[Hypothesis]) -> list[Hypothesis]:
    """Those that may still win, best first; ties go to the smaller labels, so that nothing depends on chance."""
    least = max(h.score for h in hypotheses) - HOPELESS
    return sorted((h for h in hypotheses if h.score >= least), key=lambda h: (-h.score, h.labels))[:BEAM]


def _settled(hypothesis: Hypothesis, tracklet: Tracklet) -> Hypothesis:
    return _extended(hypothesis, tracklet, tracklet.label, 0.0)


def _extended(hypothesis: Hypothesis, tracklet: Tracklet, label: int, nats: float) -> Hypothesis:
    first, second = hypothesis.holders
    holders = (tracklet if label == 1 else first, tracklet if label == 2 else second)
    return Hypothesis(hypothesis.score + nats, holders, (*hypothesis.labels, label))


def link(a: Tracklet, b: Tracklet) -> float:
    """Nats that motion gives for ``b`` being the continuation of ``a``, within a shot."""
    dt, size = b.t0 - a.t1, (a.last[3] + b.first[3]) / 2
    drift = DRIFT_S * (1 - math.exp(-dt / DRIFT_S))
    dx, dy = (b.first[i] - a.last[i] - a.last[i + 4] * drift for i in (0, 1))
    dvx, dvy = (b.first[i + 4] - a.last[i + 4] for i in (0, 1))
    place = math.hypot(dx, dy) / size / (POSITION_SPREAD + POSITION_GROWTH * dt)
    speed = math.hypot(dvx, dvy) / size / SPEED_SPREAD
    growth = math.log(b.first[3] / a.last[3]) / SIZE_SPREAD
    nats = LINK_NATS - 0.5 * (place * place + speed * speed + growth * growth)
    return max(LINK_LEAST, nats) * math.exp(-dt / LINK_MEMORY_S) + (SAME_TRACK if a.track == b.track else 0.0)


def _margin(beam: Sequence[Hypothesis], index: int) -> float:
    """How much better the best hypothesis is than the best one in which this tracklet is the other person's."""
    other = 3 - beam[0].labels[index]
    rivals = [h.score for h in beam if h.labels[index] == other]
    return beam[0].score - max(rivals) if rivals else math.inf


@dataclass(slots=True)
class PositionOrder:
    """Position mode: the person on the left of the moment is in the left tile.

    Centres are smoothed exponentially; the two tiles change together, once people have been exchanged by a margin
    for a number of frames. State and settings are plain numbers.
    """

    swapped: bool = False
    left_x: float | None = None
    right_x: float | None = None
    residence: int = 0

    def observe(self, left_x: float | None, right_x: float | None, width: int, settings: IdentitySettings) -> bool:
        """Take in the centres of the persons of the left and the right tile by identity; True: show them exchanged."""
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
        """A new shot: where people were says nothing about where they are."""
        self.left_x = self.right_x = None
        self.residence = 0

    def state(self) -> dict[str, Any]:
        return asdict(self)


def _smoothed(mean: float | None, value: float | None, weight: float) -> float | None:
    if value is None or mean is None:
        return mean if value is None else value
    return mean + weight * (value - mean)
