"""The joint assignment of tracklets to two people, and position mode."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from pipeline.identity.assignment import Assigner, PositionOrder, link
from pipeline.identity.person import Person
from pipeline.identity.tracklets import STRANGER, Tracklet
from pipeline.settings import IdentitySettings

WIDTH = 1920
PEOPLE = [Person(1, "left", True, 0, 0.0, shot=0, height=200.0), Person(2, "right", True, 0, 0.0, shot=0, height=200.0)]
NOBODY = (None, None)


def squares(distances: list[list[float | None]]) -> list[list[float | None]]:
    return [[None if d is None else d * d for d in pair] for pair in distances]


def tracklet(
    number: int,
    t0: float,
    t1: float,
    x0: float,
    x1: float,
    *,
    track: int | None = None,
    speed: float = 0.0,
    evidence: list[list[float | None]] | None = None,
    height: float = 200.0,
    score: float = 0.92,
    shot: int = 0,
    label: int = -1,
) -> Tracklet:
    """A face at height 400 from (t0, x0) to (t1, x1)."""
    hits = 8
    return Tracklet(
        id=number,
        track=number if track is None else track,
        shot=shot,
        reason="entry",
        contact=False,
        t0=t0,
        t1=t1,
        first=[x0, 400, 0.76 * height, height, speed, 0],
        last=[x1, 400, 0.76 * height, height, speed, 0],
        since=t0,
        hits=hits,
        score_sum=hits * score,
        height_sum=hits * height,
        label=label,
        separation=squares(evidence or []),
    )


def labels(
    tracklets: list[Tracklet], anchors: tuple[Tracklet | None, Tracklet | None] = NOBODY, returned_t: float = -1.0
) -> dict[int, int]:
    return Assigner(IdentitySettings(), WIDTH).decide(tracklets, anchors, PEOPLE, returned_t).labels


def test_motion_carries_two_people_past_each_other() -> None:
    a, b = tracklet(1, 0, 2, 400, 800, speed=800), tracklet(2, 0, 2, 1400, 1000, speed=-800)
    c, d = tracklet(3, 2.2, 4, 960, 1400, speed=800), tracklet(4, 2.2, 4, 840, 400, speed=-800)
    assert labels([c, d], (a, b)) == {3: 1, 4: 2}


def test_embeddings_overrule_motion() -> None:
    a, b = tracklet(1, 0, 2, 400, 800, speed=800), tracklet(2, 0, 2, 1400, 1000, speed=-800)
    c = tracklet(3, 2.2, 4, 960, 1400, speed=800, evidence=[[0.8, 0.3], [0.8, 0.3]])
    d = tracklet(4, 2.2, 4, 840, 400, speed=-800, evidence=[[0.3, 0.8], [0.3, 0.8]])
    assert labels([c, d], (a, b)) == {3: 2, 4: 1}


def test_one_clear_face_decides_for_both() -> None:
    c = tracklet(3, 2, 4, 600, 600, evidence=[[0.8, 0.3]])
    d = tracklet(4, 2, 4, 1400, 1400)
    assert labels([c, d]) == {3: 2, 4: 1}


def test_simultaneous_faces_never_share_a_person() -> None:
    same = [[0.3, 0.8], [0.3, 0.8]]
    c, d = tracklet(3, 2, 4, 600, 600, evidence=same), tracklet(4, 2.5, 4, 1400, 1400, evidence=same)
    assert sorted(labels([c, d]).values()) != [1, 1]


def test_a_stranger_stays_one() -> None:
    a, b = tracklet(1, 0, 4, 400, 400, label=1), tracklet(2, 0, 2, 1400, 1400)
    stranger = tracklet(3, 2.1, 4, 1400, 1400, evidence=[[0.85, 0.8], [0.85, 0.8]])
    assert labels([a, stranger], (None, b))[3] == STRANGER


def test_something_doubtful_is_nobody() -> None:
    a, b = tracklet(1, 0, 4, 400, 400, label=1), tracklet(2, 0, 1, 1400, 1400)
    ghost = tracklet(3, 2.5, 4, 900, 900, score=0.5, height=120)
    assert labels([a, ghost], (None, b))[3] == STRANGER


def test_a_returning_person_is_known_again_on_the_other_side() -> None:
    a, b = tracklet(1, 0, 2, 300, -50, speed=-400), tracklet(2, 0, 2, 1600, 1950, speed=400)
    c = tracklet(3, 5, 7, 100, 400, evidence=[[0.75, 0.35]])
    d = tracklet(4, 5.2, 7, 1800, 1500, evidence=[[0.35, 0.75]])
    assert labels([c, d], (a, b)) == {3: 2, 4: 1}


def test_people_keep_their_order_across_a_cut_when_nothing_else_is_known() -> None:
    a, b = tracklet(1, 0, 2, 500, 500), tracklet(2, 0, 2, 1400, 1400)
    c, d = tracklet(3, 2.1, 4, 1500, 1500, shot=1, height=300), tracklet(4, 2.1, 4, 400, 400, shot=1, height=300)
    assert labels([c, d], (a, b)) == {3: 2, 4: 1}


def test_what_was_shown_needs_evidence_to_change() -> None:
    a, b = tracklet(1, 0, 4, 500, 500, label=1), tracklet(2, 0, 4, 1400, 1400, label=2)
    assert labels([a, b]) == {1: 1, 2: 2}
    a.separation, b.separation = squares([[0.85, 0.3]] * 2), squares([[0.3, 0.85]] * 2)
    assert labels([a, b]) == {1: 2, 2: 1}
    assert labels([a, b], returned_t=5.0) == {1: 1, 2: 2}, "what was shown as a whole stays"


def test_fragments_of_a_strangers_track_do_not_outweigh_a_person() -> None:
    person = tracklet(2, 0, 6, 1400, 1400, label=2)
    pieces = [tracklet(10 + i, 1 + i, 1.9 + i, 900, 900, track=9) for i in range(4)]
    pieces[0].label = STRANGER
    assert labels([person, *pieces])[2] == 2


def test_margins_grow_with_the_evidence() -> None:
    def margin(evidence: list[list[float | None]]) -> float:
        c, d = tracklet(3, 2, 4, 600, 600, evidence=evidence), tracklet(4, 2, 4, 1400, 1400)
        return Assigner(IdentitySettings(), WIDTH).decide([c, d], NOBODY, PEOPLE, -1.0).margins[3]

    assert margin([]) == pytest.approx(0.0)
    assert 0 < margin([[0.5, 0.6]]) < margin([[0.4, 0.7]]) < margin([[0.4, 0.7]] * 2)


def test_a_link_weakens_with_distance_and_time() -> None:
    a = tracklet(1, 0, 2, 400, 400)
    near, far = tracklet(2, 2.2, 3, 410, 410), tracklet(3, 2.2, 3, 700, 700)
    late = tracklet(4, 5, 6, 410, 410)
    assert link(a, near) > 1 > link(a, far)
    assert abs(link(a, late)) < 0.2
    assert link(a, tracklet(5, 2.2, 3, 410, 410, height=500)) < link(a, near)


def test_decisions_do_not_depend_on_the_order_of_arrival() -> None:
    a, b = tracklet(1, 0, 2, 400, 800, speed=800), tracklet(2, 0, 2, 1400, 1000, speed=-800)
    later = [tracklet(3 + i, 2.2 + 0.3 * i, 4, 900 + 100 * i, 900, evidence=[[0.5, 0.6]]) for i in range(4)]
    assert labels(later, (a, b)) == labels(later[::-1], (a, b))


def order_of(xs: list[tuple[float | None, float | None]]) -> list[bool]:
    order, settings = PositionOrder(), IdentitySettings()
    return [order.observe(a, b, WIDTH, settings) for a, b in xs]


def test_position_mode_follows_after_the_residence() -> None:
    shown = order_of([(500, 1400)] * 10 + [(1400, 500)] * 40)
    first = shown.index(True)
    assert 10 + 15 <= first <= 10 + 20
    assert all(shown[first:])


def test_position_mode_ignores_a_short_crossing_and_small_differences() -> None:
    assert not any(order_of([(500, 1400)] * 10 + [(1400, 500)] * 12 + [(500, 1400)] * 20))
    assert not any(order_of([(1000, 900)] * 100)), "less than the margin"


def test_position_mode_keeps_the_order_while_one_is_away() -> None:
    shown = order_of([(1400, 500)] * 30 + [(None, 500)] * 50)
    assert shown[-1]


def test_position_mode_swaps_back() -> None:
    shown = order_of([(1400, 500)] * 30 + [(500, 1400)] * 30)
    assert shown[29]
    assert not shown[-1]
    assert math.isclose(IdentitySettings().position_smoothing, 0.3)


def test_a_face_that_jumps_about_alone_stays_one_person() -> None:
    """Both people's latest tracklets are of its track: only the very latest one leads to the next."""
    b = tracklet(1, 0, 1.9, 700, 700, track=5, label=2)
    pieces = [tracklet(2 + i, 2 + 0.1 * i, 2.05 + 0.1 * i, 700 + 150 * (i % 2), 700, track=5) for i in range(6)]
    a = tracklet(9, 1.92, 1.95, 720, 720, track=5, label=1)
    assert {labels(pieces, (a, b))[k.id] for k in pieces} == {1}


def test_after_a_cut_people_without_embeddings_keep_their_places() -> None:
    """The latest shot was a close-up of the person on the left, in the middle of the frame."""
    people = [replace(p, usual_x=x) for p, x in zip(PEOPLE, (500.0, 1400.0), strict=True)]
    a, b = tracklet(1, 4, 6, 1100, 1100), tracklet(2, 0, 4, 1400, 1400)
    c, d = (tracklet(3 + i, 6.1, 8, x, x, shot=2, height=90) for i, x in enumerate((600, 1300)))
    decision = Assigner(IdentitySettings(), WIDTH).decide([c, d], (a, b), people, -1.0)
    assert decision.labels == {3: 1, 4: 2}
    assert all(1 < decision.margins[k] < 4 for k in (3, 4)), "likely, but not certain"
