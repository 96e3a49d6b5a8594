"""Two people beside each other, panels, and faces of different size: what the cameras make of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engines.frames import Rect
from tests.support.cameras import acceleration, face, film, holds, lefts, rights, scene

PANELS = Rect(20, 40, 900, 1000), Rect(980, 40, 920, 1000)


def head(box):
    return Rect(box.x - 0.15 * box.w, box.y, 1.3 * box.w, box.h)


def shown(crop, box):
    """Which part of a box is between the left and right edge of the crop."""
    return max(min(box.x + box.w, crop.x + crop.w) - max(box.x, crop.x), 0) / box.w


def shows_part(crop, box):
    """Whether a part of the face is in the crop, but not all of it."""
    return 0.03 < shown(crop, box) < 0.99


def side_by_side(apart, height=200.0, middle=960.0):
    """Two faces whose centres are so many face widths apart."""
    half = apart * 0.78 * height / 2
    return face(middle - half, height=height), face(middle + half, height=height)


@pytest.mark.parametrize("apart", np.arange(1.1, 5.0, 0.2))
@pytest.mark.parametrize("height", [90.0, 200.0, 300.0])
def test_no_face_beside_is_cut_in_two(apart, height):
    left, right = side_by_side(apart, height)
    row = film([scene(i, left, right) for i in range(40)])[-1]
    for tile, own, other in ((row.left, left, right), (row.right, right, left)):
        assert holds(tile.crop, own)
        assert not shows_part(tile.crop, other)
        assert abs(tile.crop.cx - own.cx) < abs(tile.crop.cx - other.cx)


def test_a_neighbour_is_kept_out_by_a_shift_where_that_is_enough():
    left, right = side_by_side(2.1)
    crop = film([scene(i, left, right) for i in range(40)])[-1].left.crop
    assert crop.x + crop.w <= head(right).x
    assert 200 / crop.h == pytest.approx(0.28, abs=0.05)


def test_a_neighbour_near_the_edge_of_the_frame_is_kept_out_by_a_closer_crop():
    left, right = face(130, height=180), face(500, height=180)
    crop = film([scene(i, left, right) for i in range(40)])[-1].left.crop
    assert crop.x >= 0
    assert crop.x + crop.w <= head(right).x


def test_a_neighbour_near_the_edge_of_the_frame_is_held_where_a_crop_would_be_too_small():
    left, right = face(130, height=180), face(400, height=180)
    crop = film([scene(i, left, right) for i in range(40)])[-1].left.crop
    assert holds(crop, left)
    assert holds(crop, right)
    assert crop.cx - left.cx < right.cx - crop.cx


@pytest.mark.parametrize("apart", [1.5, 2.0, 3.0])
def test_no_part_of_a_head_beside_is_shown_where_there_is_room(apart):
    left, right = side_by_side(apart)
    row = film([scene(i, left, right) for i in range(40)])[-1]
    assert shown(row.left.crop, head(right)) == shown(row.right.crop, head(left)) == 0


@pytest.mark.parametrize("apart", [0.85, 0.95, 1.05, 1.2])
def test_of_two_who_touch_each_tile_shows_its_own_face(apart):
    left, right = side_by_side(apart, 260)
    row = film([scene(i, left, right) for i in range(40)])[-1]
    for tile, own, other in ((row.left, left, right), (row.right, right, left)):
        assert shown(tile.crop, own) > 0.99
        assert shown(tile.crop, other) < 0.26
        assert 0.17 < (own.cx - tile.crop.x) / tile.crop.w < 0.83
        assert share(tile) == pytest.approx(0.5, abs=0.06)


def test_who_touches_a_child_is_shown_as_large_as_the_child():
    left, right = face(540, 240, 206), face(770, 215, 283)
    row = film([scene(i, left, right) for i in range(40)], width=1280, height=720)[-1]
    shares = sorted((share(row.left), share(row.right)))
    assert shares[1] / shares[0] < 1.25
    assert shown(row.left.crop, right) == shown(row.right.crop, left) == 0


def test_heads_that_touch_are_both_whole_where_a_crop_of_one_would_be_too_small():
    left, right = side_by_side(1.1, 80)
    row = film([scene(i, left, right) for i in range(40)])[-1]
    assert all(holds(tile.crop, box) for tile in (row.left, row.right) for box in (left, right))


def test_heads_that_touch_and_sway_do_not_make_the_camera_waver():
    scenes = []
    for i in range(300):
        left, right = side_by_side(1.05 + 0.04 * np.sin(i / 9), 260, 960 + 8 * np.sin(i / 23))
        scenes.append(scene(i, left, right))
    rows = film(scenes)
    for tiles in (lefts(rows), rights(rows)):
        assert np.ptp([t.crop.w for t in tiles[60:]]) == 0
        assert acceleration(tiles[60:]).max() < 0.3


def approaching(apart):
    """Two who come near to each other; the distance of their faces' centres in face widths, frame by frame."""
    return [scene(i, *side_by_side(distance, 260)) for i, distance in enumerate(apart)]


def test_two_who_come_near_and_stay_are_separated_after_a_while():
    rows = film(approaching(np.interp(np.arange(240), [0, 30, 90], [3.0, 3.0, 1.05])))
    left, right = side_by_side(1.05, 260)
    assert shown(rows[-1].left.crop, right) < 0.03
    assert shown(rows[-1].right.crop, left) < 0.03
    assert acceleration(lefts(rows)).max() < 3


def test_two_who_meet_and_part_again_are_filmed_in_one_size():
    rows = film(approaching(np.interp(np.arange(240), [0, 30, 90, 120, 180], [3.0, 3.0, 1.0, 1.0, 3.0])))
    for tiles in (lefts(rows), rights(rows)):
        assert min(t.crop.w for t in tiles) > 0.7 * max(t.crop.w for t in tiles)
        assert all(holds(t.crop, t.face) for t in tiles)


def test_a_face_above_or_below_the_crop_is_no_neighbour():
    alone = film([scene(i, face(900, 800, 150)) for i in range(40)])[-1].left.crop
    above = film([scene(i, face(900, 800, 150), face(1080, 100, 150)) for i in range(40)])[-1].left.crop
    assert above.cx == pytest.approx(alone.cx, abs=20)


def test_swaying_neighbours_do_not_make_the_camera_waver():
    scenes = []
    for i in range(300):
        left, right = side_by_side(1.55 + 0.15 * np.sin(i / 9))
        scenes.append(scene(i, left, right))
    rows = film(scenes)
    for tiles in (lefts(rows), rights(rows)):
        assert len({t.crop for t in tiles[60:]}) <= 60
        assert acceleration(tiles).max() < 0.5


# Panels


def in_panels(i, left, right, *, cut=False, panels=PANELS):
    return replace(scene(i, left, right, cut=cut), panels=panels)


def inside(crop, panel):
    across = panel.x <= crop.x + 0.1 and crop.x + crop.w <= panel.x + panel.w + 0.1
    return across and panel.y <= crop.y + 0.1 and crop.y + crop.h <= panel.y + panel.h + 0.1


def test_crops_stay_inside_the_panels():
    scenes = [in_panels(i, face(300 + 2 * min(i, 60), 500, 380), face(1750 - i, 300, 300)) for i in range(120)]
    rows = film(scenes)
    assert all(inside(t.crop, PANELS[0]) for t in lefts(rows))
    assert all(inside(t.crop, PANELS[1]) for t in rights(rows))


def test_panels_keep_who_is_lost():
    scenes = [in_panels(i, face(400, 500, 380), face(1700, 300) if i < 50 else "lost") for i in range(150)]
    assert all(inside(t.crop, PANELS[1]) for t in rights(film(scenes)))


def test_another_layout_after_a_cut_is_there_at_once():
    scenes = [in_panels(i, face(300, 500, 300), face(1500, 500, 300)) for i in range(40)]
    wide = Rect(0, 270, 960, 540), Rect(960, 270, 960, 540)
    scenes += [in_panels(i, face(480, 500, 200), face(1400, 500, 200), cut=i == 40, panels=wide) for i in range(40, 80)]
    rows = film(scenes)
    assert all(inside(r.left.crop, PANELS[0]) for r in rows[:40])
    assert all(inside(r.left.crop, wide[0]) and inside(r.right.crop, wide[1]) for r in rows[40:])


def test_panels_that_swap_sides_are_followed_as_cuts():
    scenes = [in_panels(i, face(400, 500, 250), face(1500, 500, 250)) for i in range(60)]
    scenes += [in_panels(i, face(1500, 500, 250), face(400, 500, 250)) for i in range(60, 120)]
    rows = film(scenes)
    for tiles, before, after in ((lefts(rows), *PANELS), (rights(rows), *PANELS[::-1])):
        assert all(inside(t.crop, before) for t in tiles[:60])
        assert all(inside(t.crop, after) for t in tiles[60:])


@pytest.mark.parametrize("split", [60, 67])
def test_a_panel_that_grows_for_the_speaker_is_followed_as_a_cut(split):
    small = Rect(20, 300, 900, 506), Rect(980, 300, 920, 506)
    grown = Rect(20, 40, 1300, 1000), Rect(1360, 400, 540, 304)
    scenes = [in_panels(i, face(500, 500, 200), face(1500, 500, 200), panels=small) for i in range(split)]
    scenes += [in_panels(i, face(640, 500, 380), face(1600, 530, 120), panels=grown) for i in range(split, 140)]
    rows = film(scenes)
    for tiles, before, after in ((lefts(rows), small[0], grown[0]), (rights(rows), small[1], grown[1])):
        assert all(inside(t.crop, before) for t in tiles[:split])
        assert all(inside(t.crop, after) for t in tiles[split:])
        assert len({t.crop for t in tiles[split:]}) == 1


def test_panels_that_are_found_late_are_entered_without_a_jump():
    scenes = [
        in_panels(i, face(820, 500, 250), face(1100, 500, 250), panels=PANELS if i >= 60 else ()) for i in range(160)
    ]
    tiles = lefts(film(scenes))
    steps = np.abs(np.diff([t.crop.cx for t in tiles]))
    assert steps.max() < 0.1 * tiles[0].crop.w
    assert all(inside(t.crop, PANELS[0]) for t in tiles[120:])


def test_the_tile_of_somebody_unknown_shows_the_other_panel():
    scenes = [in_panels(i, face(300, 500, 300), None) for i in range(40)]
    rows = film(scenes)
    assert all(inside(t.crop, PANELS[1]) for t in rights(rows))


# Equal size


def share(tile):
    return tile.face.h / tile.crop.h


@pytest.mark.parametrize(("left", "right"), [(430, 200), (200, 60), (560, 150), (300, 110)])
def test_both_faces_are_about_equally_large(left, right):
    row = film([scene(i, face(500, 560, left), face(1500, 500, right)) for i in range(40)])[-1]
    shares = sorted((share(row.left), share(row.right)))
    upscaled = min(row.left.crop.h, row.right.crop.h) <= 1.02 * 1080 / 2.5
    assert shares[1] / shares[0] <= 1.25 or upscaled
    assert 0.15 < shares[1] < 0.55


@pytest.mark.parametrize(("left", "right"), [(70, 50), (60, 60), (90, 75), (40, 34)])
def test_faces_of_a_small_recording_are_equally_large_and_hardly_enlarged(left, right):
    scenes = [scene(i, face(125, 110, left), face(365, 105, right)) for i in range(40)]
    row = film(scenes, width=480, height=270)[-1]
    shares = sorted((share(row.left), share(row.right)))
    assert shares[1] / shares[0] <= 1.25
    assert min(row.left.crop.h, row.right.crop.h) >= 270 / 1.5 - 1


def test_a_far_face_does_not_make_the_near_one_tiny():
    row = film([scene(i, face(500, 560, 300), face(1500, 500, 30)) for i in range(40)])[-1]
    assert share(row.left) > 0.17
    assert row.right.crop.h == pytest.approx(1080 / 2.5, rel=0.1)
