"""Tracking of all faces: ByteTrack for variable frame rates, with a serializable state."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from engines.frames import Rect
from pipeline.people import Face
from pipeline.settings import IdentitySettings

POSITION_NOISE = 0.05  # face heights: error of a detected box
ACCELERATION = 6.0  # face heights per s^2: standard deviation of movement
GROWTH = 2.0  # face heights per s^2: the same for the size of boxes
BOX_MARGIN = 0.3  # boxes are widened by this share before they are compared
LOW_IOU = 0.3  # least IoU of a face of low confidence with its track
JUMP = 0.35  # face heights: a larger distance from the prediction is an anomaly ...
JUMP_SIGMA = 2.5  # ... if it also exceeds this many standard deviations
SIZE_ANOMALY = 1.5  # ratio of areas^0.5 between two frames that no movement explains
MIN_INTERVALS = 1.2  # a track without faces lives at least for this many detection intervals
NO_PAIR = 1e6  # cost of a pair that is not allowed


@dataclass(slots=True)
class Coordinate:
    """Kalman filter of one coordinate with constant velocity: mean and covariance of position and speed."""

    x: float
    v: float
    pxx: float
    pxv: float
    pvv: float

    def predict(self, dt: float, acceleration: float) -> None:
        q = acceleration * acceleration
        self.x += self.v * dt
        self.pxx += dt * (2 * self.pxv + dt * self.pvv) + q * dt**4 / 4
        self.pxv += dt * self.pvv + q * dt**3 / 2
        self.pvv += q * dt * dt

    def update(self, z: float, noise: float) -> None:
        s = self.pxx + noise * noise
        gain_x, gain_v = self.pxx / s, self.pxv / s
        innovation = z - self.x
        self.x += gain_x * innovation
        self.v += gain_v * innovation
        self.pvv -= gain_v * self.pxv
        self.pxv -= gain_x * self.pxv
        self.pxx -= gain_x * self.pxx


@dataclass(slots=True)
class Track:
    """One face followed through one shot. Coordinates: centre x, centre y, width, height, in pixels."""

    id: int
    t: float  # time of the coordinates
    seen: float  # time of the last detection
    coordinates: list[Coordinate] = field(default_factory=list)
    followed: float = 0.0  # time at which the head was last found without a face, if later

    def box(self) -> Rect:
        x, y, w, h = self.coordinates
        return Rect(x.x - w.x / 2, y.x - h.x / 2, w.x, h.x)

    def velocity(self) -> tuple[float, float]:
        """Return the speed in x and y, in pixels per second."""
        return self.coordinates[0].v, self.coordinates[1].v

    def spread(self) -> float:
        """Return the standard deviation of the predicted position, in pixels."""
        x, y, _, h = self.coordinates
        return math.sqrt(x.pxx + y.pxx) + POSITION_NOISE * h.x

    def predict(self, t: float) -> None:
        dt, h = t - self.t, self.coordinates[3].x
        for c, acceleration in zip(self.coordinates, (ACCELERATION, ACCELERATION, GROWTH, GROWTH), strict=True):
            c.predict(dt, acceleration * h)
        for c in self.coordinates[2:]:
            c.x = max(1.0, c.x)
        self.t = t

    def update(self, box: Rect) -> None:
        """Take a detection at the present time."""
        self._measure(box)
        self.seen = self.t

    def follow(self, box: Rect) -> None:
        """Take the place of a head whose face is not seen at present."""
        self._measure(box)
        self.followed = self.t

    def _measure(self, box: Rect) -> None:
        noise = POSITION_NOISE * box.h
        for c, z in zip(self.coordinates, (box.cx, box.cy, box.w, box.h), strict=True):
            c.update(z, noise)

    @classmethod
    def begin(cls, number: int, t: float, box: Rect) -> Track:
        p, speed = (POSITION_NOISE * box.h) ** 2, (2.0 * box.h) ** 2
        values = (box.cx, box.cy, box.w, box.h)
        return cls(number, t, t, [Coordinate(z, 0.0, p, 0.0, speed) for z in values])


@dataclass(frozen=True, slots=True)
class Match:
    """One face of a frame and its track.

    ``anomaly``: position or size differ from the prediction, or a fainter face is nearer to it.
    """

    face: int
    track: int
    new: bool
    anomaly: bool


class ByteTrack:
    """Associates the faces of successive frames: confident faces first, then faint ones with the remaining tracks.

    Zhang et al., "ByteTrack: Multi-Object Tracking by Associating Every Detection Box", ECCV 2022. Differences: time
    is in seconds, so frame rate and gaps may vary; the four coordinates are filtered one by one, which is the same
    filter because their noise is independent; boxes are widened before comparison (Yang et al., WACV 2023), because
    faces move by much of their size between two detector runs.
    """

    def __init__(self, settings: IdentitySettings) -> None:
        self._settings = settings
        self._next = 1
        self._t: float | None = None
        self.interval_s = 0.0  # between the last two frames with faces
        self.tracks: list[Track] = []

    def step(self, t: float, faces: Sequence[Face]) -> list[Match]:
        """Match the faces of the frame at ``t`` seconds with tracks; times must rise."""
        self.interval_s, self._t = (0.0 if self._t is None else t - self._t), t
        lost_s = max(self._settings.lost_s, MIN_INTERVALS * self.interval_s)
        self.tracks = [k for k in self.tracks if t - max(k.seen, k.followed) <= lost_s]
        for track in self.tracks:
            track.predict(t)
        high = [i for i, f in enumerate(faces) if f.score >= self._settings.high_score]
        low = [i for i, f in enumerate(faces) if f.score < self._settings.high_score]
        pairs = _associate(self.tracks, faces, high, BOX_MARGIN, 0.0)
        taken = {track.id for _, track in pairs}
        pairs += _associate([k for k in self.tracks if k.id not in taken], faces, low, 0.0, LOW_IOU)
        found = {i for i, _ in pairs}
        spare = [f.box for i, f in enumerate(faces) if i not in found]
        matches = [self._continue(i, track, faces[i].box, spare) for i, track in pairs]
        return matches + [self._begin(i, t, faces[i].box) for i in high if i not in found]

    def clear(self) -> None:
        """End all tracks, at the beginning of a new shot."""
        self.tracks = []

    def track(self, number: int) -> Track:
        return next(k for k in self.tracks if k.id == number)

    def state(self) -> dict[str, Any]:
        tracks = [asdict(k) for k in self.tracks]
        return {"next": self._next, "t": self._t, "interval_s": self.interval_s, "tracks": tracks}

    def restore(self, state: dict[str, Any]) -> None:
        self._next, self._t, self.interval_s = int(state["next"]), state["t"], float(state["interval_s"])
        self.tracks = [
            Track(**{**k, "coordinates": [Coordinate(**c) for c in k["coordinates"]]}) for k in state["tracks"]
        ]

    def _continue(self, face: int, track: Track, box: Rect, spare: Sequence[Rect]) -> Match:
        """Continue a track; ``spare`` are the boxes of faces that no track takes."""
        expected = track.box()
        ratio = (expected.w * expected.h / (box.w * box.h)) ** 0.5
        jump = math.hypot(expected.cx - box.cx, expected.cy - box.cy)
        anomaly = jump > max(JUMP * box.h, JUMP_SIGMA * track.spread()) or not 1 / SIZE_ANOMALY <= ratio <= SIZE_ANOMALY
        anomaly = anomaly or any(iou(expected, other) > max(LOW_IOU, iou(expected, box)) for other in spare)
        track.update(box)
        return Match(face, track.id, new=False, anomaly=anomaly)

    def _begin(self, face: int, t: float, box: Rect) -> Match:
        track = Track.begin(self._next, t, box)
        self._next += 1
        self.tracks.append(track)
        return Match(face, track.id, new=True, anomaly=False)


def grown(box: Rect, margin: float) -> Rect:
    """Return the box, enlarged by ``margin`` of its size on each side."""
    dx, dy = margin * box.w, margin * box.h
    return Rect(box.x - dx, box.y - dy, box.w + 2 * dx, box.h + 2 * dy)


def intersection(a: Rect, b: Rect) -> float:
    """Return the common area in square pixels."""
    w = min(a.x + a.w, b.x + b.w) - max(a.x, b.x)
    h = min(a.y + a.h, b.y + b.h) - max(a.y, b.y)
    return w * h if w > 0 and h > 0 else 0.0


def iou(a: Rect, b: Rect) -> float:
    """Return the intersection over union."""
    common = intersection(a, b)
    return common / (a.w * a.h + b.w * b.h - common) if common else 0.0


def _associate(
    tracks: Sequence[Track], faces: Sequence[Face], chosen: Sequence[int], margin: float, least_iou: float
) -> list[tuple[int, Track]]:
    """Pair faces with tracks at the greatest total overlap, without pairs below ``least_iou``."""
    if not tracks or not chosen:
        return []
    boxes = [grown(k.box(), margin) for k in tracks]
    cost = [[_cost(iou(grown(faces[i].box, margin), box), least_iou) for box in boxes] for i in chosen]
    return [(chosen[r], tracks[c]) for r, c in cheapest_pairs(cost) if cost[r][c] < NO_PAIR]


def _cost(overlap: float, least: float) -> float:
    return 1.0 - overlap if overlap > least else NO_PAIR


def cheapest_pairs(cost: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    """Return pairs of rows and columns at the least total cost, by the Hungarian method.

    Every row or every column is used, whichever are fewer. Shortest augmenting paths (Jonker and Volgenant 1987).
    """
    rows, columns = len(cost), len(cost[0])
    if rows > columns:
        turned = [[cost[r][c] for r in range(rows)] for c in range(columns)]
        return sorted((r, c) for c, r in cheapest_pairs(turned))
    row_of = [-1] * columns
    row_price, column_price = [0.0] * rows, [0.0] * columns
    for row in range(rows):
        _augment(cost, row, row_of, row_price, column_price)
    return sorted((r, c) for c, r in enumerate(row_of) if r >= 0)


def _augment(
    cost: Sequence[Sequence[float]], start: int, row_of: list[int], row_price: list[float], column_price: list[float]
) -> None:
    """Pair row ``start``, re-pairing other rows along the cheapest path (Dijkstra on reduced costs)."""
    columns = len(row_of)
    distance, before, done = [float("inf")] * columns, [-1] * columns, [False] * columns
    row, column, reached = start, -1, 0.0
    while True:
        for c in range(columns):
            step = reached + cost[row][c] - row_price[row] - column_price[c]
            if not done[c] and step < distance[c]:
                distance[c], before[c] = step, column
        column = min((c for c in range(columns) if not done[c]), key=distance.__getitem__)
        reached, done[column] = distance[column], True
        if row_of[column] < 0:
            break
        row = row_of[column]
    for c in range(columns):
        if done[c] and c != column:
            row_price[row_of[c]] += reached - distance[c]
            column_price[c] -= reached - distance[c]
    row_price[start] += reached
    while column >= 0:
        row_of[column] = row_of[before[column]] if before[column] >= 0 else start
        column = before[column]
