"""How often the detector runs."""

import json
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.frames import Rect
from pipeline.detection.detection_schedule import DetectionSchedule
from pipeline.people import Face
from pipeline.settings import DetectSettings

FPS = 30
POINTS = ((0.0, 0.0),) * 5


def faces(*xs: float) -> list[Face]:
    return [Face(Rect(x, 300, 100, 120), 0.9, POINTS) for x in xs]


def new_pace(fps: Fraction | int = FPS) -> DetectionSchedule:
    return DetectionSchedule(DetectSettings(rate_hz=10, calm_rate_hz=5), Fraction(fps), width=1920)


def run(pace, seen, frames, first=0):
    """Numbers of the frames that the detector was run on; ``seen`` gives the faces of a frame."""
    ran = []
    for n in range(first, first + frames):
        if pace.due([n / FPS], [False]) == [True]:
            ran.append(n)
            pace.note(n / FPS, seen(n))
    return ran


def steps(ran):
    return [b - a for a, b in pairwise(ran)]


def test_every_third_frame_at_first_and_every_sixth_once_it_was_calm_for_a_second():
    found = steps(run(new_pace(), lambda _: faces(400, 1200), 120))
    assert found[:10] == [3] * 10
    assert found[-10:] == [6] * 10


def test_gestures_of_people_who_sit_apart_are_calm():
    assert steps(run(new_pace(), lambda n: faces(400 + 20 * (n // 3 % 2), 1200), 120))[-10:] == [6] * 10


def test_people_who_walk_towards_each_other_are_calm_until_they_could_soon_meet():
    def gap(n):
        return 1200 - 8 * n

    ran = run(new_pace(), lambda n: faces(200, 300 + gap(n)), 150)
    soon = 100 + 8 * FPS // 2  # a face's width, and what is walked in half a second
    assert set(steps([n for n in ran if n > FPS + 3 and gap(n) >= soon])) == {6}
    assert set(steps([n for n in ran if gap(n) < soon])) == {3}


def test_a_face_that_is_about_to_leave_the_frame_keeps_the_rate_up():
    ran = run(new_pace(), lambda n: faces(400, 1100 + 6 * n), 115)
    assert 6 in steps(ran)
    assert set(steps([n for n in ran if 1100 + 6 * n + 100 + 6 * 15 > 1920])) == {3}


def test_faces_near_each_other_are_looked_at_often_though_they_keep_still():
    assert set(steps(run(new_pace(), lambda _: faces(400, 580), 150))) == {3}


@pytest.mark.parametrize("became_calm", range(30, 42, 3))
def test_it_does_not_matter_later_when_it_became_calm(became_calm):
    ran = run(new_pace(), lambda n: faces(400, 580) if n < became_calm else faces(400, 1200), 180)
    assert [n for n in ran if n > 80] == list(range(84, 180, 6))


@pytest.mark.parametrize(("fps", "every"), [(6, 1), (24, 3), (25, 3), (Fraction(30000, 1001), 3), (50, 5), (60, 6)])
def test_every_how_many_frames(fps, every):
    times = [float(n / Fraction(fps)) for n in range(1000)]
    assert [n for n, due in enumerate(new_pace(fps).due(times, [False] * 1000)) if due] == list(range(0, 1000, every))


def test_calm_ends_with_the_first_frame_that_shows_another_face():
    pace = new_pace()
    run(pace, lambda _: faces(400, 1200), 120)
    assert steps(run(pace, lambda _: faces(400, 800, 1200), 30, first=120))[:3] == [3, 3, 3]


def test_a_cut_is_always_looked_at():
    pace = new_pace()
    last = run(pace, lambda _: faces(400, 1200), 120)[-1]
    assert pace.due([(last + 1) / FPS, (last + 2) / FPS], [False, True]) == [False, True]


def test_a_restored_pace_goes_on_identically():
    pace, other = new_pace(), new_pace()
    run(pace, lambda _: faces(400, 1200), 50)
    other.restore(json.loads(json.dumps(pace.state())))
    assert run(pace, lambda _: faces(400, 1200), 90, 50) == run(other, lambda _: faces(400, 1200), 90, 50)


@given(
    st.integers(1, 70), st.integers(1, 20),
    st.lists(st.lists(st.integers(0, 1800), max_size=3), min_size=1, max_size=80),
)  # fmt: skip
def test_what_may_be_due_holds_all_that_is_due(fps: int, length: int, seen: list[list[int]]) -> None:
    """In batches of any length, whatever is found: calm stretches begin and end anywhere."""
    pace = new_pace(fps)
    for first in range(0, 4 * len(seen), length):
        times = [n / fps for n in range(first, first + length)]
        due = pace.due(times, [False] * length)
        assert all(may for may, is_due in zip(pace.may_be_due(times), due, strict=True) if is_due)
        for n, is_due in enumerate(due):
            if is_due:
                pace.note(times[n], faces(*seen[(first + n) // 4 % len(seen)]))
