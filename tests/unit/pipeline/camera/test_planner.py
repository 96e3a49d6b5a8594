"""The two virtual cameras, on scenes made here."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.camera.camera_path import CameraPath
from pipeline.camera.extension import picture_in_tile
from pipeline.camera.framing import Framing
from pipeline.settings import CameraSettings
from tests.support.cameras import (
    FPS,
    FROZEN,
    HEIGHT,
    LOOKAHEAD_S,
    TICKS,
    WIDTH,
    acceleration,
    centres,
    face,
    film,
    has_centre,
    holds,
    lefts,
    operator,
    rights,
    scene,
)

LEAD_IN = 3  # frames before the return of a face from which a tile is live
PATIENT = CameraSettings(hold_s=3600)  # waits live, until the other person comes into the crop

# Standing still


def test_swaying_and_nodding_leave_the_camera_alone():
    rng = np.random.default_rng(5)
    scenes = [
        scene(
            i,
            face(560 + 40 * math.sin(i / 25), 430 + 18 * math.sin(i / 11), 210 + rng.normal(0, 6)),
            face(1400 + 35 * math.sin(i / 31), 420 + 20 * math.cos(i / 17), 205 + 12 * math.sin(i / 9)),
        )
        for i in range(300)
    ]
    rows = film(scenes)
    assert len({t.crop for t in lefts(rows)}) == 1
    assert len({t.crop for t in rights(rows)}) == 1


def test_a_face_is_framed_with_its_eyes_on_the_upper_third():
    crop = film([scene(i, face(700), face(1300)) for i in range(40)])[0].left.crop
    eyes = face(700).y + 0.42 * 210
    assert 210 / crop.h == pytest.approx(CameraSettings().face_share, abs=0.03)
    assert (eyes - crop.y) / crop.h == pytest.approx(0.36, abs=0.03)
    assert crop.cx == pytest.approx(700, abs=0.03 * crop.w)


def test_a_resting_crop_lies_on_whole_pixels():
    crop = film([scene(i, face(703.4, 431.7), face(1301.9)) for i in range(40)])[0].left.crop
    assert all(v == round(v) for v in (crop.x, crop.y, crop.w, crop.h))


def test_a_far_face_is_not_enlarged_without_limit():
    crop = film([scene(i, face(700, height=40), face(1300, height=40)) for i in range(40)])[0].left.crop
    assert 1080 / crop.h == pytest.approx(CameraSettings().upscale_max, rel=0.1)


def test_a_close_face_gets_the_largest_crop():
    crop = film([scene(i, face(700, 540, 700), face(1300, height=200)) for i in range(40)])[0].left.crop
    assert crop.h == pytest.approx(HEIGHT, abs=1)


# Moving


def walk(i):
    """Stands, walks 700 pixels in 70 frames, stands."""
    return 500 + 10 * min(max(i - 60, 0), 70)


def test_a_walk_is_followed_smoothly_and_in_time():
    scenes = [scene(i, face(walk(i)), face(1700)) for i in range(200)]
    tiles = lefts(film(scenes))
    assert all(holds(t.crop, t.face) for t in tiles)
    assert np.max(np.abs(centres(tiles)[:, 0] - [walk(i) for i in range(200)])) < 0.12 * tiles[0].crop.w
    assert acceleration(tiles).max() <= CameraSettings().acceleration_max * 1.05
    moved = np.flatnonzero(np.abs(np.diff(centres(tiles)[:, 0])) > 0.1)
    assert moved[0] < 60 + 0.09 * tiles[0].crop.w / 10, "the camera starts before the dead zone is left"


def test_after_a_walk_the_camera_comes_to_a_full_stop_near_the_middle():
    tiles = lefts(film([scene(i, face(walk(i)), face(1700)) for i in range(240)]))
    assert len({t.crop for t in tiles[200:]}) == 1
    assert abs(tiles[-1].crop.cx - 1200) < 0.08 * tiles[-1].crop.w


@pytest.mark.parametrize("step", [0, 0.37, 1.61])
def test_after_a_walk_the_crop_lies_on_whole_pixels_of_luma_and_chroma(step):
    tiles = lefts(film([scene(i, face(walk(i) + step, 431.7 + i % 7 * step), face(1700)) for i in range(240)]))
    assert tiles[0].crop.x != tiles[-1].crop.x
    assert tiles[-1].crop.x % 2 == tiles[-1].crop.y % 2 == 0


def test_a_zoom_is_one_slow_movement():
    scenes = [scene(i, face(600, height=150 + 120 * min(max((i - 60) / 90, 0), 1)), face(1400)) for i in range(260)]
    widths = np.array([t.crop.w for t in lefts(film(scenes))])
    changes = np.diff(widths)
    assert (changes >= -0.1).all(), "never back"
    assert widths[-1] > widths[0] * 1.3
    assert np.abs(np.diff(changes)).max() / widths.min() * FPS**2 < CameraSettings().acceleration_max * 0.5


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_acceleration_is_bounded_while_a_person_is_followed(seed):
    rng = np.random.default_rng(seed)
    speed = np.cumsum(rng.normal(0, 2.0, 240)).clip(-30, 30)
    xs = 960 + np.cumsum(speed)
    ys = 500 + np.cumsum(np.cumsum(rng.normal(0, 0.3, 240)).clip(-6, 6))
    xs, ys = np.clip(xs, 100, 1800), np.clip(ys, 200, 900)
    scenes = [scene(i, face(x, y), "lost") for i, (x, y) in enumerate(zip(xs, ys, strict=True))]
    tiles = lefts(film(scenes))
    assert acceleration(tiles).max() <= CameraSettings().acceleration_max * 1.1
    assert np.mean([has_centre(t.crop, t.face) for t in tiles]) > 0.97


# Cuts


def two_shots(cut_at, count):
    """The same two people in two framings."""
    first, second = (face(560), face(1400)), (face(420, 520, 330), face(1550, 500, 320))
    return [scene(i, *(second if i >= cut_at else first), cut=i == cut_at) for i in range(count)]


@pytest.mark.parametrize("cut_at", [1, 37, 60, 83])
def test_the_new_framing_is_there_on_the_first_frame_of_a_shot(cut_at):
    rows = film(two_shots(cut_at, 120))
    for tiles in (lefts(rows), rights(rows)):
        assert len({t.crop for t in tiles[:cut_at]}) == 1
        assert len({t.crop for t in tiles[cut_at:]}) == 1
        assert all(holds(t.crop, t.face) for t in tiles)


def test_nothing_before_a_cut_depends_on_what_follows_it():
    walking = [scene(i, face(walk(i)), face(1700)) for i in range(100)]
    after = [scene(i, face(300), face(900), cut=i == 100) for i in range(100, 160)]
    assert film(walking + after)[:100] == film(walking)


# Missing people


def leaving(i):
    """Walks out of the frame on the right and comes back there."""
    x = 1400 + 20 * max(0, min(i, 200 - i) - 40)
    return face(x) if x < WIDTH else "lost"


def test_who_leaves_through_the_side_is_shown_as_a_still_soon_after():
    scenes = [scene(i, face(500), leaving(i)) for i in range(200)]
    tiles = rights(film(scenes))
    waiting = [t.source for t in tiles if t.face is None]
    held = waiting.index("frozen")
    assert 0 < held <= 0.4 * FPS + 1
    assert set(waiting[held:-LEAD_IN]) == {"frozen"}
    assert set(waiting[-LEAD_IN:]) == {"held"}
    still = next(t for t in tiles if t.source == "frozen")
    assert holds(still.crop, leaving(still.still_pts // TICKS))


def test_a_patient_camera_waits_with_the_live_frame():
    scenes = [scene(i, face(500), face(1400) if i < 40 or i > 160 else "lost") for i in range(200)]
    rows = film(scenes, camera=PATIENT)
    waiting = [t for t in rights(rows) if t.face is None]
    assert {t.source for t in waiting} == {"held"}
    assert np.ptp([t.crop.cx for t in waiting[10:]]) < 1
    assert acceleration(rights(rows)).max() <= CameraSettings().acceleration_max * 1.1


@pytest.mark.parametrize("gap_s", [0.5, 1.0, 1.6])
def test_who_is_out_of_sight_for_a_moment_is_waited_for_live(gap_s):
    """Somebody who turns away, or whom a hand hides; the return is in sight before the wait is over."""
    scenes = [scene(i, face(500), "lost" if 60 <= i < 60 + gap_s * FPS else face(1400)) for i in range(150)]
    assert not {t.source for t in rights(film(scenes))} & set(FROZEN)


def test_who_stays_away_is_shown_as_a_still_until_they_return():
    scenes = [scene(i, face(500), "lost" if 60 <= i < 180 else face(1400)) for i in range(220)]
    tiles = rights(film(scenes))
    frozen = [i for i, t in enumerate(tiles) if t.source == "frozen"]
    assert frozen == list(range(frozen[0], 180 - LEAD_IN)), "one freeze, up to the return"
    assert len({t.crop for t in tiles[180 - LEAD_IN :]}) == 1
    assert frozen[0] == pytest.approx(60 + CameraSettings().hold_s * FPS, abs=2)


@pytest.mark.parametrize(("returns_to", "stays"), [(1400, True), (1440, True), (1700, False)])
def test_a_return_to_where_the_still_is_framed_leaves_the_crop_where_it_is(returns_to, stays):
    scenes = [
        scene(i, face(500), "lost" if 60 <= i < 180 else face(1400 if i < 60 else returns_to)) for i in range(240)
    ]
    tiles = rights(film(scenes))
    still = next(t for t in tiles if t.source == "frozen")
    assert (tiles[180].crop.cx == pytest.approx(still.crop.cx, abs=1)) == stays
    assert all(holds(t.crop, t.face) for t in tiles[180:])


def test_the_still_beside_a_close_up_is_as_close_as_the_source_allows():
    two_shot = [scene(i, face(500, height=200), face(1400, height=200)) for i in range(60)]
    close_up = [scene(60 + i, "lost", face(1200, 500, height=600), cut=i == 0) for i in range(60)]
    rows = film(two_shot + close_up)
    stills = {row.left.crop for row in rows[60:]}
    assert {row.left.source for row in rows[60:]} == {"frozen"}
    assert len(stills) == 1, "one still, without a movement"
    shares = 200 / stills.pop().h, 600 / rows[-1].right.crop.h
    assert max(shares) / min(shares) <= 1.25
    assert shares[0] > 1.2 * 200 / rows[59].left.crop.h


@pytest.mark.parametrize(("seconds", "is_live"), [(0.1, False), (0.2, False), (0.4, True)])
def test_a_glimpse_does_not_end_a_still(seconds, is_live):
    """A detector is wrong now and then, or somebody passes by."""

    def seen(i):
        return i < 60 or 130 <= i < 130 + seconds * FPS or i >= 240

    scenes = [scene(i, face(500), face(1400) if seen(i) else "lost") for i in range(280)]
    sources = {t.source for t in rights(film(scenes))[100:200]}
    assert sources == ({"frozen", "held", "detected"} if is_live else {"frozen"})


def test_the_still_shows_the_person_in_the_middle_of_the_tile():
    """The last frames before the exit show half a face at the edge of the picture."""
    scenes = [scene(i, face(500), face(1400 + 20 * max(0, i - 60)) if i < 88 else "lost") for i in range(200)]
    tiles = rights(film(scenes))
    assert tiles[87].face.x + tiles[87].face.w > WIDTH
    stills = {(t.still_pts, t.crop) for t in tiles if t.source == "frozen"}
    ((pts, crop),) = stills
    shown = scenes[pts // TICKS].right.box
    assert holds(crop, shown)
    assert abs(shown.cx - crop.cx) <= crop.w / 4


def test_who_returns_elsewhere_is_framed_at_once():
    scenes = [scene(i, "lost" if 60 <= i < 120 else face(400 if i < 60 else 1500), face(960, 500)) for i in range(180)]
    tiles = lefts(film(scenes))
    assert {t.source for t in tiles[70:85]} == {"held"}
    assert {t.source for t in tiles[95 : 120 - LEAD_IN]} == {"frozen"}
    assert all(t.crop.cx == pytest.approx(1500, abs=0.1 * t.crop.w) for t in tiles[120:])


def test_a_held_crop_that_the_other_person_enters_turns_into_a_still_without_them():
    def other(i):
        return face(400 + 10 * min(max(i - 90, 0), 100))

    scenes = [scene(i, other(i), face(1400) if i < 60 or i >= 220 else "lost") for i in range(280)]
    rows = film(scenes, camera=PATIENT)
    tiles = rights(rows)
    assert {t.source for t in tiles[60:150]} == {"held"}
    frozen = [i for i, t in enumerate(tiles) if t.source == "frozen"]
    entered = next(i for i in range(280) if has_centre(tiles[59].crop, other(i)))
    assert frozen == list(range(entered, 220 - LEAD_IN))
    assert {t.still_pts for t in tiles if t.source == "frozen"} == {59 * TICKS}
    assert {t.crop for t in tiles if t.source == "frozen"} == {tiles[59].crop}
    assert tiles[220].source == "detected"
    assert holds(tiles[220].crop, face(1400))


def test_a_still_ends_when_the_other_person_has_gone():
    def other(i):
        return face(1380) if 100 <= i < 130 else face(400)

    scenes = [scene(i, other(i), face(1400) if i < 60 else "lost") for i in range(240)]
    sources = [t.source for t in rights(film(scenes, camera=PATIENT))]
    assert set(sources[100:130]) == {"frozen"}
    assert set(sources[150:]) == {"held"}


def test_the_still_is_never_one_in_which_the_other_person_stands():
    def other(i):
        return face(400 + 12 * min(max(i - 40, 0), 75))

    def own(i):
        return face(1400) if i < 105 else "lost"

    scenes = [scene(i, other(i), own(i)) for i in range(240)]
    frozen = [t for t in rights(film(scenes, camera=PATIENT)) if t.source == "frozen"]
    assert len(frozen) > 60
    shown = other(frozen[0].still_pts // TICKS)
    assert shown.x + shown.w <= frozen[0].crop.x


def test_people_who_pass_each_other_stay_live_and_their_cameras_glide():
    def crossing(i):
        return min(max(i - 60, 0), 70) * 12

    scenes = []
    for i in range(200):
        front, behind = face(540 + crossing(i)), face(1380 - crossing(i))
        hidden = abs(front.cx - behind.cx) < 110
        scenes.append(scene(i, front, "lost" if hidden else behind))
    rows = film(scenes)
    tiles = rights(rows)
    assert 5 < sum(t.face is None for t in tiles) < 20
    assert not {t.source for t in tiles} & set(FROZEN)
    assert acceleration(tiles).max() <= CameraSettings().acceleration_max * 1.1
    assert all(has_centre(t.crop, t.face) for t in tiles if t.face)


def test_a_close_up_of_one_person_shows_a_still_of_the_other():
    scenes = [scene(i, face(560), face(1400)) for i in range(60)]
    scenes += [scene(i, face(960, 500, 420), "lost", cut=i == 60) for i in range(60, 120)]
    scenes += [scene(i, face(560), face(1400), cut=i == 120) for i in range(120, 160)]
    rows = film(scenes)
    assert {(t.source, t.still_pts, t.person) for t in rights(rows)[60:120]} == {("frozen", 59 * TICKS, 2)}
    assert {t.source for t in lefts(rows)} == {"detected"}
    assert rights(rows)[120].crop == rights(rows)[59].crop


def test_the_first_shot_may_lack_a_person_without_doubling_the_other():
    rows = film([scene(i, face(560), None) for i in range(60)])
    assert {t.source for t in rights(rows)} == {"held"}
    assert not any(has_centre(t.crop, face(560)) for t in rights(rows))


def test_where_no_part_of_the_frame_is_free_there_is_a_placeholder():
    rows = film([scene(i, face(960, 540, 420), None) for i in range(60)])
    assert {t.source for t in rights(rows)} == {"placeholder"}


def test_a_late_arrival_is_framed_as_soon_as_seen():
    scenes = [scene(i, face(560), face(1900 - 10 * min(i - 60, 50)) if i >= 60 else None) for i in range(160)]
    tiles = rights(film(scenes))
    assert {t.source for t in tiles[:60]} == {"held"}
    assert all(has_centre(t.crop, t.face) for t in tiles[60:])
    assert tiles[-1].crop.w < 780


def test_nobody_at_all_gives_the_two_halves():
    rows = film([scene(i) for i in range(60)])
    assert {(t.source, t.person, t.face) for r in rows for t in (r.left, r.right)} == {("held", None, None)}
    left, right = rows[0].left.crop, rows[0].right.crop
    assert (left.cx, right.cx) == (WIDTH / 4, WIDTH * 3 / 4)
    assert left.h == pytest.approx(HEIGHT)


def test_freeze_shows_the_last_good_frame_from_the_first_moment():
    scenes = [scene(i, face(500), "lost" if 60 <= i < 150 else face(1400)) for i in range(200)]
    tiles = rights(film(scenes, missing="freeze"))
    assert {(t.source, t.still_pts) for t in tiles[60 : 150 - LEAD_IN]} == {("frozen", 59 * TICKS)}
    assert {t.source for t in tiles[150:]} == {"detected"}


def test_a_face_that_is_found_a_moment_after_the_start_is_framed_from_the_start():
    scenes = [scene(i, face(560) if i >= 8 else None, face(1400)) for i in range(60)]
    assert len({t.crop for t in lefts(film(scenes))}) == 1


def test_who_is_found_a_moment_after_a_cut_is_framed_from_the_cut_on():
    scenes = [scene(i, face(500), face(1400) if i < 40 else "lost") for i in range(80)]
    scenes += [scene(i, face(400), face(1200) if i >= 86 else "lost", cut=i == 80) for i in range(80, 140)]
    tiles = rights(film(scenes))
    assert len({t.crop for t in tiles[80:]}) == 1
    assert not {t.source for t in tiles[80:]} & set(FROZEN)


# Two people near each other


def test_side_by_side_each_crop_is_framed_on_its_own_person():
    left, right = face(700), face(880)
    row = film([scene(i, left, right) for i in range(60)])[-1]
    for tile, own, other in ((row.left, left, right), (row.right, right, left)):
        assert abs(tile.crop.cx - own.cx) < abs(tile.crop.cx - other.cx)


def test_at_the_edge_the_crop_is_narrowed_until_it_is_framed_on_its_own_person():
    left, right = face(110, height=180), face(290, height=180)
    tile = film([scene(i, left, right) for i in range(60)])[-1].left
    assert tile.crop.x >= 0
    assert abs(tile.crop.cx - left.cx) < abs(tile.crop.cx - right.cx)
    assert holds(tile.crop, left)


def test_exchanged_people_are_framed_at_once():
    scenes = [scene(i, face(500), face(1400)) for i in range(60)]
    scenes += [scene(i, face(1400), face(500), people=(2, 1)) for i in range(60, 120)]
    rows = film(scenes)
    assert rows[60].left.crop.cx == pytest.approx(1400, abs=40)
    assert rows[59].left.crop.cx == pytest.approx(500, abs=40)


# Odd frames and times


@pytest.mark.parametrize(("width", "height"), [(1080, 1920), (640, 360), (320, 240), (64, 64), (3840, 2160), (65, 67)])
def test_any_frame_has_room_for_crops(width, height):
    big = height * 0.2
    scenes = [scene(i, face(width * 0.3, height * 0.4, big), face(width * 0.7, height * 0.4, big)) for i in range(40)]
    row = film(scenes, width=width, height=height)[-1]
    for tile in (row.left, row.right):
        assert holds(tile.crop, tile.face)
        assert tile.crop.x >= 0
        assert tile.crop.x + tile.crop.w <= width


def test_a_row_comes_out_once_the_lookahead_is_reached():
    camera = operator()
    rows = camera.observe([scene(i, face(500), face(1400)) for i in range(200)])
    assert rows[-1].t >= 199 / FPS - LOOKAHEAD_S - 1 / FPS


def test_a_long_pause_between_two_frames_is_no_reason_to_race():
    times = [i / FPS + (30.0 if i >= 60 else 0.0) for i in range(120)]
    scenes = [scene(i, face(500 if i < 60 else 620), face(1400), t=t) for i, t in enumerate(times)]
    tiles = lefts(film(scenes))
    assert all(holds(t.crop, t.face) for t in tiles)
    assert np.abs(np.diff(centres(tiles)[:, 0])).max() < 60


SIZES = [(1920, 1080), (1080, 1920), (640, 360), (320, 240), (64, 64), (3840, 2160), (65, 67), (1000, 64)]


@st.composite
def stories(draw):
    """Random scenes: movement, jumps, losses, cuts, exchanges, uneven time; and how they are filmed."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    width, height = draw(st.sampled_from(SIZES))
    fps = draw(st.sampled_from([10, 30, 120]))
    scenes, t, people = [], 0.0, (1, 2)
    state = [[rng.uniform(0, width), rng.uniform(0, height), rng.uniform(0.03, 0.7) * height, 0, False] for _ in people]
    for i in range(draw(st.integers(1, 150))):
        cut = i > 0 and rng.random() < 0.02
        boxes = []
        for person in state:
            if cut or rng.random() < 0.005:
                person[:3] = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(0.03, 0.9) * height
            person[0] += rng.normal(0, 0.01 * width)
            person[3] = person[3] - 1 if person[3] else int(rng.choice([0] * 60 + [1, 5, 20, 80]))
            person[4] = person[4] or rng.random() < 0.3
            box = face(*person[:3]) if person[3] == 0 and -0.1 * width < person[0] < 1.1 * width else "lost"
            boxes.append(box if person[4] else None)
        people = people[::-1] if rng.random() < 0.003 else people
        scenes.append(scene(i, *boxes, cut=cut, t=t, people=people))
        t += float(rng.choice([1.0] * 40 + [0.0, 1e-6, 300.0])) * rng.uniform(0.5, 1.5) / fps
    options = {
        "missing": draw(st.sampled_from(["hold", "freeze"])),
        "width": width,
        "height": height,
        "lookahead_s": draw(st.sampled_from([0.1, 0.8, 2.0])),
    }
    return scenes, options, draw(st.integers(0, len(scenes)))


@settings(max_examples=40, deadline=None)
@given(stories())
def test_every_story_is_filmed_within_the_frame_and_resumes_exactly(story):
    scenes, options, split = story
    rows = film(scenes, **options)
    for tile in (t for row in rows for t in (row.left, row.right)):
        crop = tile.crop
        assert min(crop.x, crop.y) >= 0
        assert crop.x + crop.w <= options["width"]
        assert crop.y + crop.h <= options["height"]
        assert min(crop.w, crop.h) > 0
        wider, higher = crop.w * 9 / 8 > crop.h, crop.w * 9 / 8 < crop.h
        assert not wider or crop.h == options["height"]
        assert not higher or crop.w == options["width"]
        assert (tile.still_pts is not None) == (tile.source == "frozen")
    for full in (row.full for row in rows if row.full is not None):
        assert min(full.x, full.y) >= 0
        assert full.x + full.w <= options["width"]
        assert full.y + full.h <= options["height"]
        assert min(full.w, full.h) > 0
        shown = picture_in_tile(full, 9 / 16)
        assert shown is None or shown.w == 1 or full.w >= options["width"] - 1
        assert shown is None or shown.h == 1 or full.h == options["height"]

    first = operator(**options)
    resumed_rows = first.observe(scenes[:split])
    second = operator(**options)
    second.restore(json.loads(json.dumps(first.state())))
    for one in scenes[split:]:
        resumed_rows += second.observe([one])
    assert resumed_rows + second.finish() == rows


@settings(max_examples=30, deadline=None)
@given(stories())
def test_stills_show_frames_of_that_person_that_came_before(story):
    scenes, options, _ = story
    rows = film(scenes, **options)
    for side in ("left", "right"):
        earlier = {}
        for row in rows:
            tile = getattr(row, side)
            if tile.source == "frozen":
                shown = earlier[tile.still_pts]
                assert holds(shown.crop, tile.crop)
                assert shown.face is not None
                assert tile.person in (shown.person, None)
            earlier[row.pts] = tile


@given(st.integers(200 * 1024, 1700 * 1024), st.integers(320 * 1024, 960 * 1024))
def test_a_camera_at_rest_shows_the_same_crop_in_every_frame(middle: int, width: int) -> None:
    """Also where a crop's edge lies between two steps of the grid, so that rounding decides."""
    framing = Framing(CameraSettings(), 1920, 1080)
    path = CameraPath(0.0, 0, [[width / 1024, middle / 1024, 540 + 1 / 1024]] * 40)
    crops = {framing.crop(float(cx), float(cy), float(w)) for w, cx, cy in path.at(np.arange(0, 3.6, 1 / 29.97))}
    assert len(crops) == 1
