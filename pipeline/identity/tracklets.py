"""Tracklets: parts of tracks that show one face for certain, and the suspicions that end them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engines.frames import Rect
from pipeline.identity.byte_track import ByteTrack, Match, Track, grown, intersection, iou
from pipeline.identity.head_pose import yaw
from pipeline.identity.liveliness import features
from pipeline.people import Face
from pipeline.settings import IdentitySettings

UNDECIDED, STRANGER = -1, 0  # labels besides the people 1 and 2
UNCONTESTED = 50.0  # nats: margin of a decision without an alternative
RIVAL_SIZE = 0.4  # faces of a smaller ratio of sizes are not mistaken for one another
FREEZE_MARGIN = 0.5  # faces this near, in parts of their size, may hide part of each other
CONTACT_HYSTERESIS = 2.0  # contact ends at this multiple of the distance at which it begins
START_S = 0.15  # the speed at a tracklet's start is measured over this time
LOST_SPLIT_S = 0.25  # a longer gap in a track is suspicious
MEETING_S = 0.5  # faces that would touch so soon ...
MEETING_SPEED = 0.8  # ... and come nearer by more than this, in face heights per second, may hide each other
LEAST_HITS = 3  # detections of a face from which its head may be followed


@dataclass(slots=True)
class Tracklet:
    """One face from one suspicion to the next.

    Attributes:
        reason: why it began: entry, cut, jump, contact or parted.
        contact: another face is so near that the tracker may confuse the two.
        t0, t1: times of the first and the last detection, in seconds.
        head_t, head: time and box (as ``last``) at which the head was last found without a face, if later.
        first, last: centre x, centre y, width, height, speed x, speed y, in pixels and pixels per second.
        features: of the last detection (see ``liveliness``).
        since: beginning of the track's latest tracklet that did not begin with a jump; a jump alone is seldom
            somebody else.
        evidence: for each embedding the distances to the two people's galleries; None where a gallery was empty.
        separation: the same for the squared distances to the means of the galleries (see ``Gallery.separation``).
        views: embeddings as (yaw, vector, fresh); fresh ones enter a gallery once it is certain whose face this is.
        margin: nats by which the decision was better than the one with both people exchanged.
        appearance_margin: the part of ``margin`` that the embeddings gave.
    """

    id: int
    track: int
    shot: int
    reason: str
    contact: bool
    t0: float
    t1: float
    first: list[float]
    last: list[float]
    head_t: float = 0.0
    head: list[float] = field(default_factory=list)
    since: float = 0.0
    hits: int = 0
    score_sum: float = 0.0
    height_sum: float = 0.0
    yaw_sum: float = 0.0
    features: list[float] = field(default_factory=list)
    label: int = UNDECIDED
    proposed: int = UNDECIDED
    margin: float = 0.0
    appearance_margin: float = 0.0
    embedded: int = 0
    reported: int = 0
    embedded_t: float = -1e9
    evidence: list[list[float | None]] = field(default_factory=list)
    separation: list[list[float | None]] = field(default_factory=list)
    views: list[tuple[float, list[float], bool]] = field(default_factory=list)

    @property
    def score(self) -> float:
        return self.score_sum / max(1, self.hits)

    @property
    def height(self) -> float:
        """The mean height in pixels."""
        return self.height_sum / max(1, self.hits)

    @property
    def yaw(self) -> float:
        """Mean direction of the head: negative to the left of the frame, 0 towards the camera."""
        return self.yaw_sum / max(1, self.hits)

    def person(self) -> int:
        """Return whose face this is by the present decision."""
        return self.proposed if self.label == UNDECIDED else self.label

    def latest(self, t: float) -> tuple[float, list[float]]:
        """Return when and where the face, or the head without it, was last before ``t``: as ``t1`` and ``last``."""
        return (self.head_t, self.head) if self.t1 < self.head_t <= t else (self.t1, self.last)

    def add(self, t: float, face: Face, track: Track) -> None:
        self.hits += 1
        self.score_sum += face.score
        self.height_sum += face.box.h
        self.features = features(face)
        self.yaw_sum += max(-1.0, min(1.0, yaw(face)))
        self.t1 = t
        self.last = [face.box.cx, face.box.cy, face.box.w, face.box.h, *track.velocity()]
        if self.hits > 1 and t - self.t0 <= START_S + 1e-6:
            dt = t - self.t0
            self.first[4:] = [(face.box.cx - self.first[0]) / dt, (face.box.cy - self.first[1]) / dt]

    def forget_comparisons(self, person: int) -> None:
        """Drop the distances to the views of a person who is somebody else from now on."""
        for pair in (*self.evidence, *self.separation):
            pair[person - 1] = None

    @classmethod
    def restored(cls, state: dict[str, Any]) -> Tracklet:
        return cls(**{**state, "views": [(turn, list(vector), fresh) for turn, vector, fresh in state["views"]]})


@dataclass(frozen=True, slots=True)
class TrackedFace:
    """One detected face of one frame, as part of a tracklet."""

    tracklet: int
    face: Face
    crowded: bool  # another face is near enough to hide part of this one
    covered: bool  # another face overlaps this one


class TrackletBuilder:
    """Tracks all faces and divides the tracks where one face could have become another.

    A tracklet begins at the beginning of a track, at a cut, after a gap, at a jump of position or size, where faces
    touch and where they part. While faces touch, it also ends wherever the tracker could equally have chosen the other
    face.
    """

    def __init__(self, settings: IdentitySettings) -> None:
        self._settings = settings
        self._tracker = ByteTrack(settings)
        self._next = 1
        self._shot = 0
        self._current: dict[int, Tracklet] = {}  # by track
        self._hidden: set[int] = set()  # tracks that missed their face while another one was near

    @property
    def shot(self) -> int:
        return self._shot

    def suspect(self, track: int) -> None:
        """End the present tracklet of a track with its next detection."""
        self._hidden.add(track)

    def live(self) -> set[int]:
        """Return the ids of tracklets that may still grow."""
        return {k.id for k in self._current.values()}

    def cut(self) -> None:
        """End all tracks: a new shot begins with the next frame."""
        self._shot += 1
        self._tracker.clear()
        self._current, self._hidden = {}, set()

    def step(self, t: float, faces: Sequence[Face], new_shot: bool) -> tuple[list[TrackedFace], list[Tracklet]]:
        """Return the faces of a frame as parts of tracklets, and the tracklets that begin with this frame."""
        matches = self._tracker.step(t, faces)
        known = {k.id for k in self._tracker.tracks}
        self._current = {track: k for track, k in self._current.items() if track in known}
        hits, born = [], []
        for match in matches:
            track, face = self._tracker.track(match.track), faces[match.face]
            contact = self._in_contact(track, face.box)
            reason = self._suspicion(t, match, track, contact)
            if reason:
                born.append(self._begin(t, track, face, "cut" if new_shot and match.new else reason, contact))
            self._current[track.id].add(t, face, track)
            hits.append(self._hit(track, match, faces))
        self._note_hidden(t)
        return hits, born

    def lost(self) -> list[Tracklet]:
        """Return the latest tracklets of tracks that have had no face for more than one detection.

        Those are left out that may be hidden by another face, or have had few faces themselves.
        """
        tracker = self._tracker
        missed = [k for k in tracker.tracks if k.t - k.seen > tracker.interval_s + 1e-6 and k.id not in self._hidden]
        latest = [(k, self._current[k.id]) for k in missed if k.id in self._current]
        known = [(track, k) for track, k in latest if k.hits >= LEAST_HITS or track.followed > 0]
        return [k for track, k in known if not k.contact and not self._meets(track)]

    def follow(self, heads: Mapping[int, Rect]) -> None:
        """Keep tracks alive whose heads were found without a face, by track."""
        for number, box in heads.items():
            track, tracklet = self._tracker.track(number), self._current[number]
            track.follow(box)
            tracklet.head_t, tracklet.head = track.t, [box.cx, box.cy, box.w, box.h, *track.velocity()]

    def state(self) -> dict[str, Any]:
        """Return the state of tracker and counters; of the current tracklets, which the caller stores, only the ids."""
        return {
            "tracker": self._tracker.state(),
            "next": self._next,
            "shot": self._shot,
            "current": [[track, k.id] for track, k in self._current.items()],
            "hidden": sorted(self._hidden),
        }

    def restore(self, state: dict[str, Any], tracklets: dict[int, Tracklet]) -> None:
        self._tracker.restore(state["tracker"])
        self._next, self._shot = int(state["next"]), int(state["shot"])
        self._current = {track: tracklets[number] for track, number in state["current"]}
        self._hidden = set(state["hidden"])

    def _in_contact(self, track: Track, box: Rect) -> bool:
        before = self._current.get(track.id)
        margin = self._settings.contact_margin * (CONTACT_HYSTERESIS if before and before.contact else 1.0)
        mine = grown(box, margin / 2)
        return any(
            _similar_size(box, other := rival.box()) and intersection(mine, grown(other, margin / 2)) > 0
            for rival in self._tracker.tracks
            if rival.id != track.id
        )

    def _meets(self, track: Track) -> bool:
        """Return whether a face was on its way to another one, which may hide it now."""
        return any(
            _similar_size(track.box(), rival.box()) and _seconds_apart(track, rival) < MEETING_S
            for rival in self._tracker.tracks
            if rival.id != track.id
        )

    def _note_hidden(self, t: float) -> None:
        missed = {k.id for k in self._tracker.tracks if k.seen < t and self._in_contact(k, k.box())}
        self._hidden = missed | {k.id for k in self._tracker.tracks if k.seen < t and k.id in self._hidden}

    def _suspicion(self, t: float, match: Match, track: Track, contact: bool) -> str | None:
        """Return why the track's tracklet ends before this face, or None."""
        before = self._current.get(track.id)
        if before is None:
            return "entry"
        if match.anomaly or t - before.t1 > max(LOST_SPLIT_S, 1.2 * self._tracker.interval_s):
            return "jump"
        if contact != before.contact or track.id in self._hidden:
            return "contact" if contact else "parted"
        return "contact" if contact and self._ambiguous(track) else None

    def _ambiguous(self, track: Track) -> bool:
        """Return whether the tracker could equally have followed another face."""
        return any(iou(track.box(), k.box()) > 0.4 for k in self._tracker.tracks if k.id != track.id)

    def _begin(self, t: float, track: Track, face: Face, reason: str, contact: bool) -> Tracklet:
        box = face.box
        first = [box.cx, box.cy, box.w, box.h, *track.velocity()]
        before = self._current.get(track.id)
        since = before.since if before and reason == "jump" else t
        tracklet = Tracklet(self._next, track.id, self._shot, reason, contact, t, t, first, list(first), since=since)
        self._next += 1
        self._current[track.id] = tracklet
        return tracklet

    def _hit(self, track: Track, match: Match, faces: Sequence[Face]) -> TrackedFace:
        face = faces[match.face]
        others = [f.box for i, f in enumerate(faces) if i != match.face and _similar_size(face.box, f.box)]
        others += [k.box() for k in self._tracker.tracks if k.id != track.id and k.seen < track.seen]
        near = any(intersection(grown(face.box, FREEZE_MARGIN / 2), grown(o, FREEZE_MARGIN / 2)) > 0 for o in others)
        area = face.box.w * face.box.h
        covered = any(intersection(face.box, o) > 0.1 * area for o in others)
        return TrackedFace(self._current[track.id].id, face, near, covered)


def tracklet_state(tracklet: Tracklet) -> dict[str, Any]:
    """Return the fields as JSON-able values; embeddings, which never change, are not copied."""
    plain = {name: getattr(tracklet, name) for name in Tracklet.__slots__}
    lists = {name: list(plain[name]) for name in ("first", "last", "head", "features", "views")}
    pairs = {name: [list(pair) for pair in plain[name]] for name in ("evidence", "separation")}
    return plain | lists | pairs


def _seconds_apart(a: Track, b: Track) -> float:
    """Return the time until two faces touch, if they keep their speeds; infinite if they do not come nearer."""
    first, second = a.box(), b.box()
    (vx, vy), (ux, uy) = a.velocity(), b.velocity()
    dx, dy = second.cx - first.cx, second.cy - first.cy
    distance = math.hypot(dx, dy)
    nearing = -((ux - vx) * dx + (uy - vy) * dy) / max(1.0, distance)
    gap = distance - (first.w + second.w) / 2
    return max(0.0, gap) / nearing if nearing > MEETING_SPEED * first.h else math.inf


def _similar_size(a: Rect, b: Rect) -> bool:
    ratio = math.sqrt(a.w * a.h / max(1.0, b.w * b.h))
    return RIVAL_SIZE <= ratio <= 1 / RIVAL_SIZE
