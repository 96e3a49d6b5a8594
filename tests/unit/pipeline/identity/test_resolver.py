"""Who is who, from faces to scenes: recordings with known paths, and checkpoints at any point."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.frames import Rect
from pipeline.identity.resolver import PeopleResolver
from pipeline.identity.statistics import IdentityRecord
from pipeline.people import Face, Observation, Scene
from tests.support.actors import Actor, Path, Recording, line, missing, play, resolver, still, wrong

NEVER = None


def crossing(**options: object) -> Recording:
    """They change places between 3 and 4 s, A in front."""
    a = Actor("A", line((0, 500, 420), (3, 500, 420), (4, 1400, 420), (8, 1400, 420)))
    b = Actor("B", line((0, 1400, 400), (3, 1400, 400), (4, 500, 400), (8, 500, 400)), depth=1)
    return Recording([a, b], **options)


def share(indices: list[int], scenes: list[Scene]) -> float:
    return len(indices) / len(scenes)


def right(recording: Recording, scenes: list[Scene], allowed: float = 0.02, **sides: str) -> None:
    assert share(wrong(recording, scenes, **sides), scenes) <= 0.005
    assert share(missing(recording, scenes, **sides), scenes) <= allowed


def pictures_until(people: PeopleResolver) -> dict[int, float]:
    return IdentityRecord.restored(people.state()["record"]).pictures_until()


@pytest.mark.parametrize("fps", [24, 25, 30, 50, 60])
def test_people_keep_their_tiles_when_they_cross(fps: float) -> None:
    recording = crossing(fps=fps)
    right(recording, play(recording))


@pytest.mark.parametrize("detector_hz", [6, 10, 15, 30])
def test_at_any_detector_rate(detector_hz: float) -> None:
    recording = crossing(detector_hz=detector_hz)
    right(recording, play(recording), allowed=0.03)


def test_motion_alone_carries_a_crossing() -> None:
    recording = crossing()
    right(recording, play(recording, embed=False))


def test_similar_people_are_told_apart() -> None:
    recording = crossing(likeness=0.5)
    right(recording, play(recording))


def test_people_who_meet_and_part_keep_their_tiles() -> None:
    a = Actor("A", line((0, 500, 420), (2, 500, 420), (3, 930, 420), (5, 930, 420), (6, 500, 420), (8, 500, 420)))
    b = Actor(
        "B", line((0, 1400, 400), (2, 1400, 400), (3, 980, 400), (5, 980, 400), (6, 1400, 400), (8, 1400, 400)), depth=1
    )
    recording = Recording([a, b])
    scenes = play(recording)
    assert not [i for i in wrong(recording, scenes) if not 2.8 < scenes[i].t < 5.2]


def test_both_leave_and_return_at_the_other_side() -> None:
    def out_and_back(side: int) -> Path:
        gone = line((0, 960 + 450 * side, 420), (2, 960 + 450 * side, 420), (3, 960 + 1300 * side, 420))
        back = line((5, 960 - 1300 * side, 420), (6, 960 - 450 * side, 420), (9, 960 - 450 * side, 420))
        return lambda t: gone(t) or back(t)

    recording = Recording([Actor("A", out_and_back(-1)), Actor("B", out_and_back(1))])
    scenes = play(recording)
    right(recording, scenes, allowed=0.03)
    away = [s for s in scenes if 3.4 < s.t < 4.6]
    assert all(s.left.box is NEVER and s.right.box is NEVER for s in away)


def test_a_close_up_shows_nobody_in_the_other_tile() -> None:
    def zoom(t: float) -> float:
        return 2.0 if 2 <= t < 4 or t >= 6 else 1.0

    a = Actor("A", lambda t: None if t >= 6 else (960, 500) if 2 <= t < 4 else (500, 420), zoom=zoom)
    b = Actor("B", lambda t: None if 2 <= t < 4 else (960, 500) if t >= 6 else (1400, 420), zoom=zoom)
    recording = Recording([a, b], cuts=[2, 4, 6])
    scenes = play(recording)
    assert not wrong(recording, scenes)
    assert not missing(recording, scenes), "people are there from the first frame of a shot"
    assert all(s.right.box is NEVER for s in scenes if 2 <= s.t < 4)
    assert all(s.left.box is NEVER for s in scenes if s.t >= 6)


def test_people_who_change_places_at_a_cut_keep_their_tiles() -> None:
    a = Actor("A", lambda t: (500, 420) if t < 3 else (1400, 420))
    b = Actor("B", lambda t: (1400, 420) if t < 3 else (500, 420))
    recording = Recording([a, b], cuts=[3])
    right(recording, play(recording), allowed=0.0)


def test_a_cut_to_other_people_shows_neither() -> None:
    a = Actor("A", lambda t: (500, 420) if not 3 <= t < 5 else None)
    b = Actor("B", lambda t: (1400, 420) if not 3 <= t < 5 else None)
    c = Actor("C", lambda t: (900, 420) if 3 <= t < 5 else None, height=320)
    recording = Recording([a, b, c], cuts=[3, 5])
    scenes = play(recording)
    assert not wrong(recording, scenes)
    assert not missing(recording, scenes)


def between_two_shots(
    name: str, *, a_x: float = 500, b_x: float = 1400, resembles: float = 0.0, behind: bool = False
) -> Recording:
    """A and B, then one face alone, then A and B.

    Args:
        resembles: how far C's embedding is from that of A; 0 for unlike.
        behind: somebody far away is behind the one alone.
    """

    def path(x: float, *, alone: bool) -> Path:
        return lambda t: ((900, 420) if alone else None) if 3 <= t < 5 else still(x)(t)

    a, b = Actor("A", path(a_x, alone=name == "A")), Actor("B", path(b_x, alone=name == "B"))
    c = Actor("C", lambda t: (900, 420) if name == "C" and 3 <= t < 5 else None)
    d = Actor("D", lambda t: (1500, 300) if behind and 3 <= t < 5 else None, height=60)
    recording = Recording([a, b, c, d], cuts=[3, 5])
    if resembles:
        recording.resemble("C", "A", resembles)
    return recording


@pytest.mark.parametrize(("resembles", "shown"), [(0.0, False), (0.44, False), (0.3, True)])
@pytest.mark.parametrize("behind", [False, True])
def test_a_stranger_alone_after_a_cut_is_nobody_unless_embeddings_say_so(
    resembles: float, shown: bool, behind: bool
) -> None:
    recording = between_two_shots("C", resembles=resembles, behind=behind)
    scenes = play(recording)
    assert bool(wrong(recording, scenes)) is shown
    assert not missing(recording, scenes)


@pytest.mark.parametrize("name", ["A", "B"])
def test_one_of_the_two_alone_after_a_cut_is_shown(name: str) -> None:
    recording = between_two_shots(name)
    scenes = play(recording)
    assert not wrong(recording, scenes)
    assert not missing(recording, scenes)


@pytest.mark.parametrize("name", ["A", "B", "C"])
def test_people_who_always_touch_are_known_again_after_a_cut(name: str) -> None:
    """No face is ever clear of the other one, so the first views are all there is to compare with."""
    recording = between_two_shots(name, a_x=800, b_x=980)
    scenes = play(recording)
    assert not wrong(recording, scenes)
    assert not missing(recording, [s for s in scenes if 3 <= s.t < 5])


@pytest.mark.parametrize("height", [110, 230])
def test_a_bystander_who_passes_stays_one(height: float) -> None:
    a, b = Actor("A", still(500), depth=1), Actor("B", still(1400), depth=1)
    c = Actor("C", line((2, -200, 400), (6, 2200, 400)), height=height, depth=0 if height > 200 else 2)
    recording = Recording([a, b, c])
    scenes = play(recording)
    assert share(wrong(recording, scenes), scenes) <= 0.01
    assert any(s.others for s in scenes)


def test_a_bystander_who_passes_first_is_nobody() -> None:
    a = Actor("A", lambda t: still(500)(t) if t >= 3 else None)
    b = Actor("B", lambda t: still(1400)(t) if t >= 3.5 else None)
    c = Actor("C", line((0, -60, 330), (6, 2000, 330)), height=85, depth=2)
    recording = Recording([a, b, c])
    scenes = play(recording)
    assert all(s.left is None and s.right is None for s in scenes if s.t < 2.2)
    right(recording, [s for s in scenes if s.t >= 3.5], allowed=0.03)


def test_a_bystander_does_not_take_the_place_of_somebody_who_is_away() -> None:
    a, b = Actor("A", still(500)), Actor("B", lambda t: still(1400)(t) if not 3 <= t < 6 else None)
    c = Actor("C", line((3.2, 2000, 380), (4.2, 1350, 380), (5, 1350, 380), (6, 2000, 380)), height=180)
    recording = Recording([a, b, c])
    scenes = play(recording)
    assert not wrong(recording, scenes)


def test_a_face_on_the_wall_gives_way_to_the_second_person() -> None:
    a = Actor("A", still(500))
    wall = Actor("C", lambda t: (960.0, 180.0), height=120, score=0.75)
    b = Actor("B", lambda t: still(1400)(t) if t >= 4 else None)
    recording = Recording([a, wall, b], seconds=20)
    scenes = play(recording)
    late = [s for s in scenes if s.t > 15]
    assert not wrong(recording, late)
    assert not missing(recording, late)


@pytest.mark.parametrize("x", [250, 1000])
@pytest.mark.parametrize("begin", [0, 2])
def test_a_photograph_larger_than_the_people_is_never_one_of_them(x: float, begin: float) -> None:
    """B is smaller and may come later. Only the picture never moves its features."""
    photo = Actor("C", lambda t: (x, 300.0), height=260, motion=0)
    a, b = Actor("A", still(600)), Actor("B", lambda t: still(1500)(t) if t >= begin else None, height=150)
    recording = Recording([a, b, photo], seconds=8)
    people = resolver(recording)
    scenes = play(recording, people)
    assert not wrong(recording, scenes)
    assert not missing(recording, scenes)
    assert not people.summary()["replaced_people"]


def test_somebody_beside_a_photograph_is_alone() -> None:
    recording = Recording([Actor("A", still(600)), Actor("C", lambda t: (1300.0, 300.0), motion=0)], seconds=6)
    people = resolver(recording)
    assert all(scene.right is None for scene in play(recording, people))
    assert people.summary()["people_seen"] == 1


def test_people_who_do_not_move_at_all_are_two_all_the_same() -> None:
    recording = Recording([Actor(n, lambda t, x=x: (x, 400.0), motion=0) for n, x in (("A", 500.0), ("B", 1400.0))])
    scenes = play(recording)
    assert not wrong(recording, scenes)
    assert not missing(recording, scenes)


@pytest.mark.parametrize("quiet", ["A", "B"])
def test_who_sits_still_at_first_gets_their_own_side_later(quiet: str) -> None:
    paths = {"A": still(700), "B": still(1200)}
    actors = [Actor(n, path, rest_s=1.5 if n == quiet else 0.0) for n, path in paths.items()]
    recording = Recording(actors, seconds=6)
    scenes = play(recording)
    assert not wrong(recording, scenes)
    assert not missing(recording, [s for s in scenes if s.t > 2])
    assert missing(recording, scenes)[0] == 0, "the quiet one waits"


def test_a_picture_that_was_taken_for_a_person_is_recorded() -> None:
    """The picture is noisy, so that it is not told from a living face at once."""
    photo = Actor("C", lambda t: (300.0, 300.0), height=300, motion=0.012, slow=0.0)
    recording = Recording([Actor("A", still(700)), Actor("B", still(1500)), photo], seconds=8)
    people = resolver(recording)
    scenes = play(recording, people)
    (replaced,) = people.summary()["replaced_people"]
    until = pictures_until(people)
    assert until == {replaced["person"]: pytest.approx(replaced["t"], abs=1e-3)}
    assert wrong(recording, scenes)
    assert all(scenes[i].t < replaced["t"] for i in wrong(recording, scenes))


def test_somebody_who_lived_is_no_picture() -> None:
    """C is there for a while and leaves; B takes the place."""
    c = Actor("C", lambda t: still(300)(t) if t < 5 else None)
    recording = Recording([Actor("A", still(900)), c, Actor("B", lambda t: still(1600)(t) if t >= 6 else None)], 20)
    people = resolver(recording)
    play(recording, people)
    assert people.summary()["replaced_people"]
    assert not pictures_until(people)


def test_a_bystander_who_sits_behind_a_close_up_replaces_nobody() -> None:
    """B is on screen for two seconds of twelve, the small face behind A for ten."""

    def close(t: float) -> bool:
        return 2 <= t < 7 or t >= 8

    a = Actor(
        "A", lambda t: (1300, 400) if close(t) else (1400, 420), height=260, zoom=lambda t: 1.8 if close(t) else 1
    )
    b = Actor("B", lambda t: None if close(t) else still(500)(t), height=250)
    c = Actor("C", lambda t: (500, 800) if close(t) else (1000, 700), height=90, zoom=lambda t: 1.8 if close(t) else 1)
    recording = Recording([a, b, c], seconds=12, cuts=[2, 7, 8])
    people = resolver(recording)
    scenes = play(recording, people)
    assert not wrong(recording, scenes, left="B", right="A")
    assert not missing(recording, scenes, left="B", right="A")
    assert not people.summary()["replaced_people"]


@pytest.mark.parametrize(("x", "side"), [(400, "left"), (1500, "right")])
def test_a_lone_person_gets_the_tile_of_the_half(x: float, side: str) -> None:
    recording = Recording([Actor("A", still(x))], seconds=4)
    scenes = play(recording)
    other = "right" if side == "left" else "left"
    assert all(getattr(s, side).box is not None for s in scenes)
    assert all(getattr(s, other) is None for s in scenes)


@pytest.mark.parametrize("late_x", [1400, 150])
def test_who_comes_late_gets_the_other_tile(late_x: float) -> None:
    a = Actor("A", still(450))
    b = Actor("B", lambda t: still(late_x)(t) if t >= 3 else None)
    recording = Recording([a, b])
    right(recording, play(recording), allowed=0.02)


def test_a_video_that_opens_with_close_ups_takes_its_order_from_the_first_shot_of_both() -> None:
    def zoom(t: float) -> float:
        return 2.0 if t < 4 else 1.0

    a = Actor("A", lambda t: None if t < 2 else (980, 500) if t < 4 else (500, 420), zoom=zoom)
    b = Actor("B", lambda t: (940, 500) if t < 2 else None if t < 4 else (1400, 420), zoom=zoom)
    recording = Recording([a, b], cuts=[2, 4])
    scenes = play(recording)
    right(recording, [s for s in scenes if s.t >= 4], allowed=0.0)


@pytest.mark.parametrize(("likeness", "noise"), [(0.8, 0.02), (0.6, 0.03), (0.5, 0.02)])
@pytest.mark.parametrize(("first", "left", "right"), [(1150, "B", "A"), (700, "A", "B")])
def test_people_who_are_never_together_are_two(
    first: float, left: str, right: str, likeness: float, noise: float
) -> None:
    """Small and dark faces have noisy embeddings: one frame may look like the other person."""
    a = Actor("A", lambda t: still(first)(t) if t < 4 or t >= 8 else None)
    b = Actor("B", lambda t: still(1920 - first)(t) if 4 <= t < 8 else None)
    recording = Recording([a, b], seconds=11, cuts=[4, 8], likeness=likeness, noise=noise)
    scenes = play(recording)
    right_ = {"left": left, "right": right}
    assert not wrong(recording, scenes, **right_)
    assert not missing(recording, scenes, **right_)


def test_one_person_in_two_framings_stays_one() -> None:
    a = Actor("A", lambda t: still(1150 if t < 4 else 700)(t), zoom=lambda t: 1.0 if t < 4 else 1.6)
    recording = Recording([a], seconds=8, cuts=[4], noise=0.03)
    people = resolver(recording)
    scenes = play(recording, people)
    assert people.summary()["people_seen"] == 1
    assert all(s.right.box is not None for s in scenes)


@pytest.mark.parametrize(("x", "nose", "side"), [(1000, 0.6, "left"), (920, 0.4, "right"), (970, 0.5, "left")])
def test_a_lone_person_in_the_middle_looks_towards_the_other_tile(x: float, nose: float, side: str) -> None:
    scenes = play(Recording([Actor("A", still(x), nose=nose)], seconds=3))
    assert all(getattr(s, side).box is not None for s in scenes)


def test_a_turned_head_is_bridged_only_when_it_is_short() -> None:
    a = Actor("A", still(500), away=[(2, 2.4), (4, 6.5)])
    recording = Recording([a, Actor("B", still(1400))])
    scenes = play(recording)
    assert len(missing(recording, scenes)) <= 3, "nothing is shown once the detector has looked in vain"
    assert all(s.left.box is not None for s in scenes if 2 <= s.t < 2.4)
    assert all(s.left.box is NEVER for s in scenes if 4.2 <= s.t < 6.3)
    assert all(s.left.source == "tracked" for s in scenes if 2.1 <= s.t < 2.3)


def test_nobody_is_nobody() -> None:
    scenes = play(Recording([], seconds=3))
    assert len(scenes) == 90
    assert all(s.left is None and s.right is None for s in scenes)


def test_a_clip_of_a_moment_still_shows_who_is_there() -> None:
    recording = Recording([Actor("A", still(500)), Actor("B", still(1400))], seconds=0.3)
    right(recording, play(recording), allowed=0.0)


def test_a_wrong_decision_is_overturned_from_the_first_frame_not_yet_shown() -> None:
    """The faces are exchanged at one place without any suspicion: only the embeddings can tell."""
    a = Actor("A", lambda t: (900, 420), depth=0)
    b = Actor("B", still(1500))
    recording = Recording([a, b], seconds=6)
    people = resolver(recording)
    scenes = people.observe(recording.observations[:120])
    (live,) = [k for k in people._tracklets.values() if k.label == 1]
    (other,) = [k for k in people._tracklets.values() if k.label == 2]
    live.separation, other.separation = [[0.64, 0.09]] * 2, [[0.09, 0.64]] * 2
    people._dirty = True
    later = people.observe(recording.observations[120:121])
    later += people.observe(recording.observations[121:]) + people.finish()
    assert len(scenes) + len(later) == 180
    assert scenes[-1].left.box.cx == pytest.approx(900, abs=30)
    assert later[0].left.box.cx == pytest.approx(1500, abs=30)
    (repair,) = people.summary()["repaired_swaps"][:1]
    assert repair["t"] == pytest.approx(later[0].t, abs=0.04)
    assert repair["shown"]


def test_position_mode_shows_the_left_one_left() -> None:
    recording = crossing()
    scenes = play(recording, assignment="position")
    before, after = [s for s in scenes if s.t < 3], [s for s in scenes if s.t > 5]
    assert all(s.left.person == 1 and s.right.person == 2 for s in before)
    assert all(s.left.person == 2 and s.right.person == 1 for s in after)
    assert all(s.left.box.cx < s.right.box.cx for s in after)


def test_the_summary_says_what_happened() -> None:
    recording = crossing()
    people = resolver(recording)
    play(recording, people)
    summary = people.summary()
    assert summary["people_seen"] == 2
    assert summary["left"]["person"] == 1
    assert summary["left"]["presence_ratio"] > 0.98
    assert summary["left"]["mean_similarity"] > 0.6
    assert summary["right"]["mean_margin"] > 0.3
    assert summary["suspected_swaps_total"] >= 1
    assert all(2.5 < s["t"] < 4.5 for s in summary["suspected_swaps"])
    assert 0 < summary["reid_activation_ratio"] < 0.06
    assert summary["both_visible_ratio"] > 0.95
    assert summary["confidence"] > 0.95
    assert json.loads(json.dumps(summary)) == summary


def test_motion_alone_is_less_confident() -> None:
    def confidence(**options: object) -> float:
        recording = crossing()
        people = resolver(recording, **options)
        play(recording, people)
        return people.summary()["confidence"]

    assert confidence(embed=False) < confidence(embed=True)


def test_what_nothing_could_verify_is_a_place_of_doubt() -> None:
    """After a cut, without embeddings: the tiles may be exchanged, and the summary says where."""
    a, b = Actor("A", lambda t: (500 if t < 4 else 900, 420)), Actor("B", lambda t: (1400 if t < 4 else 1100, 420))
    recording = Recording([a, b], cuts=[4])
    people = resolver(recording, embed=False)
    play(recording, people)
    summary = people.summary()
    assert summary["confidence"] < 0.9
    assert {d["person"] for d in summary["doubts"]} == {1, 2}
    assert all(d["from_s"] == 4.0 and d["to_s"] > 7.5 and d["reason"] == "cut" for d in summary["doubts"])
    assert all(d["confidence"] < 0.9 for d in summary["doubts"])
    sure = resolver(recording)
    play(recording, sure)
    assert sure.summary()["doubts"] == []


def test_a_missed_cut_between_two_close_ups_is_noticed_by_appearance() -> None:
    """B takes A's place in the frame at 5 s, and no cut is found."""
    a = Actor("A", lambda t: (500, 420) if t < 2 else (960, 420) if t < 5 else None)
    b = Actor("B", lambda t: (1400, 420) if t < 2 else None if t < 5 else (960, 420))
    recording = Recording([a, b], seconds=10, cuts=[2])
    people = resolver(recording)
    scenes = play(recording, people)
    assert not [i for i in wrong(recording, scenes) if not 5 <= scenes[i].t < 7.2]
    assert not [i for i in missing(recording, scenes) if scenes[i].t > 7.2]
    summary = people.summary()
    assert summary["confidence"] < 0.1
    assert any(d["from_s"] <= 5 <= d["to_s"] for d in summary["doubts"])


def busy() -> Recording:
    """Crossing, a cut, a bystander, somebody who leaves: everything that state is made of."""
    a = Actor("A", line((0, 500, 420), (1, 500, 420), (1.8, 1400, 420), (3, 1400, 420), (8, 400, 420)))
    path = line((0, 1400, 400), (1, 1400, 400), (1.8, 500, 400), (9, 500, 400))
    b = Actor("B", lambda t: None if 4 <= t < 5.2 else path(t), depth=1)
    c = Actor("C", line((2, -100, 330), (6, 2000, 330)), height=120, depth=2)
    return Recording([a, b, c], seconds=6.5, cuts=[3])


BUSY = busy()
WHOLE = play(BUSY)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, len(BUSY.observations)), min_size=1, max_size=4).map(sorted), st.booleans())
def test_restored_at_any_point_it_goes_on_bit_for_bit(splits: list[int], through_json: bool) -> None:
    people, scenes, start = resolver(BUSY), [], 0
    for split in splits:
        scenes += people.observe(BUSY.observations[start:split])
        state = people.state()
        people, start = resolver(BUSY), split
        people.restore(json.loads(json.dumps(state)) if through_json else state)
    scenes += people.observe(BUSY.observations[start:]) + people.finish()
    assert scenes == WHOLE


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=30))
def test_batches_make_no_difference(sizes: list[int]) -> None:
    people, scenes, start = resolver(BUSY), [], 0
    for size in sizes:
        scenes += people.observe(BUSY.observations[start : start + size])
        start += size
    scenes += people.observe(BUSY.observations[start:]) + people.finish()
    assert scenes == WHOLE


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.floats(0.001, 0.6), st.booleans(), st.integers(0, 2)), max_size=60), st.integers(1, 9))
def test_each_frame_comes_out_once_in_order_whatever_the_times(
    steps: list[tuple[float, bool, int]], batch: int
) -> None:
    t, observations = 0.0, []
    for i, (dt, cut, n) in enumerate(steps):
        faces = BUSY.observations[0].faces[:n]
        observations.append(Observation(i * 7, t, faces if n or cut else None, cut))
        t += dt
    people, scenes = resolver(None), []
    for i in range(0, len(observations), batch):
        scenes += people.observe(observations[i : i + batch])
        late = observations[min(i + batch, len(observations)) - 1].t - 0.7
        assert len(scenes) == sum(o.t <= late for o in observations), "no frame waits longer than the look-ahead"
    scenes += people.finish()
    assert [(s.pts, s.t, s.cut) for s in scenes] == [(o.pts, o.t, o.cut) for o in observations]


def test_memory_stays_flat() -> None:
    jumping = Actor("A", lambda t: (960 + 500 * (-1) ** int(t / 2), 420), away=[(i, i + 0.6) for i in range(0, 90, 2)])
    recording = Recording([jumping, Actor("B", still(960))], seconds=90)
    people: PeopleResolver = resolver(recording)
    sizes = []
    for i in range(0, len(recording.observations), 30):
        people.observe(recording.observations[i : i + 30])
        sizes.append(len(json.dumps({k: v for k, v in people.state().items()})))
    assert max(sizes[60:]) < 1.3 * max(sizes[20:30])
    assert max(sizes) < 500_000


class ClosedEyes:
    """Sees nothing alike anywhere, and counts the looks."""

    def __init__(self) -> None:
        self.chips = 0

    def chip(self, pts: int, part: Rect, size: int) -> np.ndarray:
        self.chips += 1
        return np.random.default_rng(self.chips).integers(0, 256, (size, size)).astype(np.uint8)

    def faces(self, pts: int, part: Rect, score: float) -> list[Face]:
        return []


def test_heads_of_bystanders_are_not_followed() -> None:
    actors = [Actor("A", still(500)), Actor("B", still(1400)), Actor("C", still(960, 200), height=70, away=[(4, 7)])]
    eyes = ClosedEyes()
    play(Recording(actors), eyes=eyes)
    assert eyes.chips == 0


def test_a_head_that_is_not_found_changes_nothing() -> None:
    actors = [Actor("A", still(500)), Actor("B", still(1400), away=[(3, 5)])]
    eyes = ClosedEyes()
    seen, blind = (play(Recording(actors), eyes=e) for e in (eyes, None))
    assert eyes.chips > 2
    assert seen == blind


def test_a_face_that_returns_where_the_head_was_followed_is_the_persons() -> None:
    """Without embeddings the path of the head says who it is, 3 s and half the frame later."""
    path = line((0, 1400, 420), (3, 1400, 420), (5.5, 900, 420), (8, 900, 420))
    recording = Recording([Actor("A", still(500)), Actor("B", path, away=[(3, 6)])])
    scenes = play(recording, embed=False, eyes=KeenEyes(path))
    turned = [s for s in scenes if 3.2 < s.t < 5.9]
    assert {s.right.source for s in turned} == {"head"}
    assert all(abs(s.right.box.cx - path(s.t)[0]) < 40 for s in turned)
    assert all(s.right.box is not None and s.right.person == 2 for s in scenes if s.t > 1)
    right(recording, scenes)
    assert {s.right.source for s in scenes if s.t > 6.5} <= {"detected", "tracked"}


class KeenEyes(ClosedEyes):
    """Sees one head of noise on a path, before a grey wall."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        noise = np.random.default_rng(4).integers(0, 256, (60, 60)).astype(np.uint8)
        self._head = cv2.resize(noise, (240, 240))

    def chip(self, pts: int, part: Rect, size: int) -> np.ndarray:
        x, y = (round(v) + 1000 for v in self._path(pts / 30))
        frame = np.full((3080, 3920), 128, np.uint8)
        frame[y - 120 : y + 120, x - 120 : x + 120] = self._head
        left, top, side = round(part.x) + 1000, round(part.y) + 1000, round(part.w)
        return cv2.resize(frame[top : top + side, left : left + side], (size, size), interpolation=cv2.INTER_AREA)
