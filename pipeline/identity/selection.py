"""The choice of the two people among all faces, and of their sides."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import asdict
from typing import Any

from pipeline.identity.liveliness import MOTIONLESS, STILL_SPREAD, FaceMotions
from pipeline.identity.person import Person, accumulated
from pipeline.identity.tracklets import STRANGER, UNDECIDED, Tracklet
from pipeline.people import Side
from pipeline.settings import IdentitySettings

MIN_SCORE = 0.6
MIN_HITS = 2
LARGE = 0.10  # of the frame's height: larger faces are not in the background
USUAL_SCORE = 0.9  # of a clear face
PASSING = 0.7  # face heights per second: faster than people sway
CENTRED = 0.10  # of the frame's width: a lone face nearer to the middle has no side
GAZE_YAW = 0.2  # yaw that decides a side as much as being ``CENTRED`` off the middle
NO_SIDE = 0.25  # below this neither position nor gaze says anything
SUCCESSION = 1.5  # a stranger replaces a person with this many times the person's weight ...
SUCCESSION_S = 2.0  # ... and at least this long a presence ...
SUCCESSION_SIZE = 0.8  # ... and at least this share of the person's prominence
MUCH_LARGER = 2.0  # times the person's prominence: from here on half as much presence is enough
POSITION_WEIGHT = 0.1  # of the latest position in the usual one
LEADING = 0.3  # of the frame's height: the least size that prominence is relative to
LOOKS_AWAY = 0.3  # share of its prominence that a face in profile loses
PROFILE_YAW = 0.75
ABSENT_S = 0.7  # a person who was not detected for this long is away
YOUNG_S = 10.0  # with less presence a person's side may still change


class SubjectSelector:
    """Selects the two people, by presence, size and persistence of their faces.

    Faces at the start are compared with each other; a face that appears later must be large and stay, or stay long.
    Beside a living face, one that has not moved its features waits until it does.
    Of two people at the start the left one gets the left tile. A lone one gets the tile of the half that shows the
    face, near the middle the one from which the gaze leads to the other, else the left one; whoever appears later gets
    the other tile. If both were first seen alone, in different shots, and the first one in the middle of the frame,
    their order in the first shot of both decides.
    """

    def __init__(self, settings: IdentitySettings, width: int, height: int) -> None:
        self._settings = settings
        self._width, self._height = width, height
        self.people: list[Person] = []
        self._strangers: dict[int, tuple[float, float]] = {}  # weight and prominence by track
        self._motions = FaceMotions()

    def observe(self, t: float, tracklets: Iterable[Tracklet]) -> None:
        """Take the faces of the latest frame, which is decided later."""
        self._motions.observe(t, {k.track: k.features for k in tracklets})

    def select(self, window: Iterable[Tracklet], appearance_rejects: dict[int, bool], final: bool) -> list[Tracklet]:
        """Select the people who are not selected yet, label their tracklets, and return these.

        Args:
            window: the tracklets in view.
            appearance_rejects: by tracklet, whether its embeddings say that it is not the first person's.
            final: no frames follow, so the least duration is waived.
        """
        if len(self.people) == 2:
            return []
        tracklets = list(window)
        free = [k for k in tracklets if k.person() in (UNDECIDED, STRANGER) and self._is_candidate(k, final)]
        free.sort(key=lambda k: (-_first_impression(k), k.id))
        free = [k for k in free if not self._passes_by(k) and not self._motions.is_still(k.track)]
        waiting = [] if final else [k for k in free if self._waits(k, tracklets)]
        free = [k for k in free if k not in waiting]
        if not self.people:
            return self._select_first(free, waiting)
        others = [k for k in tracklets if k.person() == self.people[0].number]
        late = [k for k in free if self._is_second(k, others, appearance_rejects)]
        return [self._add(late[0], _opposite(self.people[0].side), certain=True)] if late else []

    def settle_sides(self, shot: int, x1: float, x2: float) -> None:
        """Settle sides that are uncertain by the order of both people, seen together at these centres."""
        unsettled = [p for p in self.people if not p.certain_side]
        if unsettled and all(p.selection_shot != shot for p in unsettled):
            first, second = self.people
            first.side, second.side = ("left", "right") if x1 <= x2 else ("right", "left")
        for person in unsettled:
            person.certain_side = True

    def note(self, tracklets: Sequence[Tracklet], seconds: float, heads: Set[int] = frozenset()) -> list[Tracklet]:
        """Update presence with a frame, ``seconds`` after the one before; return strangers, the weightiest first.

        ``heads`` are the people who are there without a visible face.
        """
        leading = max([LEADING * self._height, *(k.last[3] for k in tracklets)])
        for person in self.people:
            person.unseen_s = 0.0 if person.number in heads else person.unseen_s + seconds
            for tracklet in tracklets:
                if tracklet.label == person.number:
                    person.seen(tracklet, seconds, _prominence(tracklet, leading))
                    if self._motions.is_still(tracklet.track):
                        person.weight = person.prominence = 0.0
                    elif not person.lived and self._motions.is_living(tracklet.track):
                        person.lived = True
        self._note_positions(tracklets)
        settled = [k for k in tracklets if k.label == STRANGER and k.score >= MIN_SCORE]
        settled = [k for k in settled if not self._passes_by(k) and not self._motions.is_still(k.track)]
        before, self._strangers = self._strangers, {}
        for k in settled:
            prominence = _prominence(k, leading)
            weight, _ = before.get(k.track, (0.0, 0.0))
            self._strangers[k.track] = accumulated(weight, prominence, seconds), prominence
        return sorted(settled, key=lambda k: (-self._strangers[k.track][0], k.id))

    def _waits(self, tracklet: Tracklet, window: Iterable[Tracklet]) -> bool:
        """Return whether a face has not moved so far, while others of about its size or larger ones have.

        It may be a picture, or somebody who sits still. Beside two others it can wait longer than beside one.
        """
        rivals = [k for k in window if k.shot == tracklet.shot and self._is_equal(k, tracklet)]
        living = [k for k in rivals if k.score >= MIN_SCORE and self._motions.moves(k.track, STILL_SPREAD)]
        return bool(living) and not self._motions.moves(tracklet.track, STILL_SPREAD if len(living) > 1 else MOTIONLESS)

    def _note_positions(self, tracklets: Sequence[Tracklet]) -> None:
        """Remember where people are while both are seen: after a cut they rather are there again."""
        at = {k.label: k.last[0] for k in tracklets}
        if len(self.people) == 2 and {1, 2} <= at.keys():
            for person in self.people:
                person.usual_x = _smoothed(person.usual_x, at[person.number])

    def successor(self, strangers: Sequence[Tracklet]) -> tuple[Tracklet, Person] | None:
        """Return the stranger who should replace a person, and that person, if any; ``strangers`` as from ``note``.

        An early choice may have been wrong: a portrait on the wall, or somebody who was there first. A stranger with
        much more weight than one of the two people replaces that person, unless it only walks through.
        """
        settled = [k for k in strangers if _speed(k) <= PASSING and self._motions.moves(k.track, STILL_SPREAD)]
        if len(self.people) < 2 or not settled:
            return None
        stranger = settled[0]
        weight, prominence = self._strangers[stranger.track]
        person = min(self.people, key=lambda p: (p.weight, p.number))
        holds = person.unseen_s < ABSENT_S and person.prominence > prominence
        small = prominence < SUCCESSION_SIZE * person.prominence
        needed = 0.5 if prominence >= MUCH_LARGER * person.prominence else 1.0
        least = max(SUCCESSION * person.weight, SUCCESSION_S * prominence) * needed
        return None if holds or small or weight < least else (stranger, person)

    def vacancies(self, stranger: Tracklet) -> list[Person]:
        """Return the absent people whose size the stranger has, if the stranger has stayed for long enough.

        The stranger is more probably one of them, whom motion has lost, than somebody new.
        """
        if stranger.t1 - stranger.t0 < self._settings.stable_s:
            return []
        return [p for p in self.people if p.unseen_s >= ABSENT_S and self._fits(stranger, p)]

    def _fits(self, stranger: Tracklet, person: Person) -> bool:
        ratio, least = _quality(stranger) / person.quality, self._settings.least_size_ratio
        return person.shot != stranger.shot or least < ratio < 1 / least

    def replace(self, stranger: Tracklet, person: Person) -> None:
        """Give the person's number to the stranger.

        If the other person is new too, their order decides the sides once they are seen together.
        """
        other = next(p for p in self.people if p is not person)
        person.weight, person.prominence = self._strangers.pop(stranger.track)
        person.seen_s, person.usual_x, person.lived = stranger.t1 - stranger.since, None, False
        person.shot, person.height = stranger.shot, stranger.height
        if other.seen_s < YOUNG_S:
            other.certain_side, other.selection_shot = False, -1
        self.people.sort(key=lambda p: p.number)

    def state(self) -> dict[str, Any]:
        return {
            "people": [asdict(p) for p in self.people],
            "strangers": [[track, *k] for track, k in self._strangers.items()],
            "motions": self._motions.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.people = [Person(**p) for p in state["people"]]
        self._motions.restore(state["motions"])
        self._strangers = {int(track): (weight, share) for track, weight, share in state["strangers"]}

    def _select_first(self, free: list[Tracklet], waiting: list[Tracklet]) -> list[Tracklet]:
        """Select one or two of ``free``; the side of a lone one is uncertain while somebody else is ``waiting``."""
        if not free:
            return []
        first = free[0]
        pair = [k for k in free[1:] if _shared_s(first, k) >= self._settings.stable_s / 2 and self._is_equal(k, first)]
        if not pair:
            offset = (first.first[0] / self._width - 0.5) / CENTRED
            lone = self._add(first, _lone_side(offset, first.yaw), certain=abs(offset) > 1 and not waiting)
            if waiting:
                self.people[0].selection_shot = -1
            return [lone]
        left, right = sorted((first, pair[0]), key=lambda k: k.first[0])
        return [self._add(left, "left", certain=True), self._add(right, "right", certain=True)]

    def _is_candidate(self, tracklet: Tracklet, final: bool) -> bool:
        stable = tracklet.t1 - tracklet.since >= self._settings.stable_s - 1e-6 and tracklet.hits >= MIN_HITS
        large = tracklet.height >= self._settings.least_height * self._height
        return (stable or final) and large and tracklet.score >= MIN_SCORE

    def _is_equal(self, tracklet: Tracklet, other: Tracklet) -> bool:
        """Return whether a face is about as clear and large as the other."""
        return _quality(tracklet) >= self._settings.least_size_ratio * _quality(other)

    def _passes_by(self, tracklet: Tracklet) -> bool:
        """Return whether this is a small moving face, of somebody in the background."""
        return tracklet.height < LARGE * self._height and _speed(tracklet) > PASSING

    def _is_second(self, tracklet: Tracklet, first: list[Tracklet], rejects: dict[int, bool]) -> bool:
        together = any(_shared_s(k, tracklet) >= self._settings.stable_s / 2 for k in first)
        if not together and not rejects.get(tracklet.id, False):
            return False
        known = self.people[0].height_in(tracklet.shot)
        small = _quality(tracklet) < self._settings.least_size_ratio * known * USUAL_SCORE**2
        stays = tracklet.t1 - tracklet.since >= self._settings.bystander_s
        return stays or not small

    def _add(self, tracklet: Tracklet, side: Side, certain: bool) -> Tracklet:
        number = len(self.people) + 1
        tracklet.label = number
        person = Person(number, side, certain, tracklet.shot, tracklet.t0)
        person.seen(tracklet, 0.0, 0.0)
        self.people.append(person)
        return tracklet


def _quality(tracklet: Tracklet) -> float:
    """Return the face height, reduced for low confidence."""
    return tracklet.height * tracklet.score**2


def _speed(tracklet: Tracklet) -> float:
    """Return how fast a face moves across the frame, in its heights per second."""
    return abs(tracklet.last[0] - tracklet.first[0]) / max(0.1, tracklet.t1 - tracklet.t0) / tracklet.height


def _first_impression(tracklet: Tracklet) -> float:
    return _quality(tracklet) * _facing(tracklet) * min(1.0, tracklet.t1 - tracklet.since + 0.1)


def _facing(tracklet: Tracklet) -> float:
    """Return a factor for how much a face looks at the camera, 1 to 1 - ``LOOKS_AWAY``."""
    return 1 - LOOKS_AWAY * min(1.0, abs(tracklet.yaw) / PROFILE_YAW)


def _prominence(tracklet: Tracklet, leading: float) -> float:
    """Return the share of the leading face's height, reduced for low confidence and a face that looks away."""
    return min(1.0, tracklet.last[3] / leading) * tracklet.score**2 * _facing(tracklet)


def _shared_s(a: Tracklet, b: Tracklet) -> float:
    """Return the seconds during which both were seen."""
    return min(a.t1, b.t1) - max(a.since, b.since)


def _smoothed(mean: float | None, value: float) -> float:
    return value if mean is None else mean + POSITION_WEIGHT * (value - mean)


def _lone_side(offset: float, turn: float) -> Side:
    """Return the side of somebody who is seen alone.

    ``offset`` is the distance from the middle of the frame, in ``CENTRED``. Within 1 of it, the direction of the gaze
    counts as well: the other person is there, so who looks to the right belongs on the left. Without either, the side
    is left.
    """
    if abs(offset) <= 1:
        offset -= turn / GAZE_YAW
    return "right" if offset > NO_SIDE else "left"


def _opposite(side: Side) -> Side:
    return "right" if side == "left" else "left"
