"""Tracking: the optimal pairing, the filter, and what ByteTrack does with faces."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.frames import Rect
from pipeline.identity.byte_track import ByteTrack, cheapest_pairs, grown, iou
from pipeline.people import Face
from pipeline.settings import IdentitySettings

COSTS = st.integers(1, 5).flatmap(
    lambda rows: st.integers(1, 5).flatmap(
        lambda columns: st.lists(
            st.lists(st.floats(0, 10).map(lambda x: round(x, 3)), min_size=columns, max_size=columns),
            min_size=rows,
            max_size=rows,
        )
    )
)


def face(x: float, y: float = 400, h: float = 200, score: float = 0.9) -> Face:
    return Face(Rect(x - 0.38 * h, y - h / 2, 0.76 * h, h), score, ((x, y),) * 5)


@given(COSTS)
def test_pairs_are_the_cheapest_of_all(cost: list[list[float]]) -> None:
    rows, columns = len(cost), len(cost[0])
    pairs = cheapest_pairs(cost)
    assert len(pairs) == min(rows, columns)
    assert len({r for r, _ in pairs}) == len({c for _, c in pairs}) == len(pairs)
    small, large = min(rows, columns), max(rows, columns)
    best = min(
        sum(cost[i][j] if rows <= columns else cost[j][i] for i, j in enumerate(choice))
        for choice in itertools.permutations(range(large), small)
    )
    assert sum(cost[r][c] for r, c in pairs) == pytest.approx(best)


def test_overlap_of_boxes() -> None:
    a = Rect(0, 0, 10, 10)
    assert iou(a, a) == 1.0
    assert iou(a, Rect(5, 0, 10, 10)) == pytest.approx(1 / 3)
    assert iou(a, Rect(20, 0, 10, 10)) == 0.0
    assert grown(a, 0.5) == Rect(-5, -5, 20, 20)


def tracks_of(positions: list[list[Face]], dt: float = 0.1) -> list[list[int]]:
    """For each frame the track of each face, in order of the faces."""
    tracker = ByteTrack(IdentitySettings())
    result = []
    for i, faces in enumerate(positions):
        matches = {m.face: m.track for m in tracker.step(i * dt, faces)}
        result.append([matches.get(j, 0) for j in range(len(faces))])
    return result


def test_a_moving_face_keeps_its_track_at_any_rate() -> None:
    for hz in (5, 10, 15, 30):
        path = [[face(300 + 400 * i / hz)] for i in range(2 * hz)]
        assert {t for (t,) in tracks_of(path, 1 / hz)} == {1}


def test_the_filter_learns_the_speed() -> None:
    tracker = ByteTrack(IdentitySettings())
    rng = np.random.default_rng(0)
    for i in range(20):
        tracker.step(i * 0.1, [face(300 + 50 * i + rng.normal(0, 2))])
    vx, vy = tracker.tracks[0].velocity()
    assert vx == pytest.approx(500, rel=0.1)
    assert abs(vy) < 40


def test_two_faces_that_pass_at_different_heights_keep_their_tracks() -> None:
    path = [[face(300 + 40 * i, 300), face(1100 - 40 * i, 600)] for i in range(20)]
    assert all(ids == [1, 2] for ids in tracks_of(path))


def test_a_faint_face_continues_a_track_but_begins_none() -> None:
    path = [[face(300)], [face(302)], [face(304, score=0.35)], [face(306, score=0.35)], [face(308)]]
    assert tracks_of(path) == [[1]] * 5
    assert tracks_of([[face(300, score=0.35)]] * 3) == [[0]] * 3


def test_a_short_miss_is_bridged_and_a_long_one_is_not() -> None:
    settings = IdentitySettings()
    assert tracks_of([[face(300)], [face(300)], [], [], [face(300)]])[-1] == [1]
    gap = int(settings.lost_s / 0.1) + 2
    assert tracks_of([[face(300)], [face(300)], *([[]] * gap), [face(300)]])[-1] == [2]


def test_a_jump_and_a_change_of_size_are_anomalies() -> None:
    def last(*faces: Face) -> bool:
        tracker = ByteTrack(IdentitySettings())
        return [tracker.step(i * 0.1, [f]) for i, f in enumerate(faces)][-1][0].anomaly

    steady = [face(300 + 2 * i) for i in range(10)]
    assert not last(*steady)
    assert last(*steady, face(450))
    assert last(*steady, face(320, h=330))


def test_a_cut_ends_all_tracks() -> None:
    tracker = ByteTrack(IdentitySettings())
    tracker.step(0.0, [face(300)])
    tracker.clear()
    (match,) = tracker.step(0.1, [face(300)])
    assert match.new


@given(st.integers(1, 19))
def test_a_restored_tracker_goes_on_exactly(split: int) -> None:
    rng = np.random.default_rng(5)
    film = [[face(300 + 30 * i + rng.normal(0, 3)), face(1200 - 25 * i + rng.normal(0, 3))] for i in range(20)]
    whole, first, second = (ByteTrack(IdentitySettings()) for _ in range(3))
    expected = [whole.step(i * 0.1, faces) for i, faces in enumerate(film)]
    got = [first.step(i * 0.1, faces) for i, faces in enumerate(film[:split])]
    second.restore(json.loads(json.dumps(first.state())))
    got += [second.step((split + i) * 0.1, faces) for i, faces in enumerate(film[split:])]
    assert got == expected
    assert second.state() == whole.state()
