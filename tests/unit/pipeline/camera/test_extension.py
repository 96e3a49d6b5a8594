"""Faces that are too large for the crops of their panel or frame."""

from __future__ import annotations

import numpy as np
import pytest

from engines.frames import Rect
from pipeline.camera.extension import picture_in_tile
from tests.unit.pipeline.camera.test_neighbour import in_panels, inside
from tests.unit.pipeline.camera.test_planner import face, film, lefts, rights, scene

WIDE = Rect(0, 270, 960, 540), Rect(960, 270, 960, 540)
TILE = Rect(0.0, 0.0, 1.0, 1.0)


def share(tile):
    """The part of the tile's height that the face takes."""
    picture = picture_in_tile(tile.crop) or TILE
    return tile.face.h / tile.crop.h * picture.h


def eyes(tile):
    """Where the eyes are in the tile, from its top."""
    picture = picture_in_tile(tile.crop) or TILE
    at = tile.face.y + 0.42 * tile.face.h - tile.crop.y
    return picture.y + at / tile.crop.h * picture.h


def wide(i, left, right):
    return in_panels(i, face(480, 550, left), face(1440, 550, right), panels=WIDE)


def test_a_close_face_in_a_wide_panel_is_whole_in_an_extended_tile():
    rows = film([wide(i, 480, 450) for i in range(40)])
    for tiles, panel in ((lefts(rows), WIDE[0]), (rights(rows), WIDE[1])):
        crop = tiles[-1].crop
        assert len({t.crop for t in tiles}) == 1
        assert inside(crop, panel)
        assert crop.h == panel.h
        assert crop.w > 1.4 * panel.h * 8 / 9
        assert share(tiles[-1]) == pytest.approx(0.5, abs=0.06)
        assert 0.25 < eyes(tiles[-1]) < 0.45


def test_a_face_of_usual_size_fills_the_tile():
    rows = film([wide(i, 330, 150) for i in range(40)])
    for tile in (rows[-1].left, rows[-1].right):
        assert picture_in_tile(tile.crop) is None
    assert max(share(rows[-1].left), share(rows[-1].right)) < 0.65


def test_an_extended_tile_and_a_plain_one_show_faces_of_one_size():
    row = film([wide(i, 480, 150) for i in range(40)])[-1]
    assert picture_in_tile(row.left.crop) is not None
    assert picture_in_tile(row.right.crop) is None
    assert 0.8 < share(row.left) / share(row.right) < 1.25


@pytest.mark.parametrize(("width", "height"), [(608, 1080), (270, 480)])
def test_a_face_as_wide_as_a_portrait_recording_is_whole(width, height):
    box = Rect(0.06 * width, 0.2 * height, 0.88 * width, 0.88 * width / 0.78)
    rows = film([scene(i, box) for i in range(40)], width=width, height=height)
    crop = rows[-1].left.crop
    assert crop.w == width
    assert crop.h > 1.3 * width * 9 / 8
    assert share(rows[-1].left) < 0.7


def test_somebody_who_leans_in_and_back_again_gets_an_extension_for_that_time():
    sizes = np.interp(np.arange(400), [0, 60, 120, 240, 300, 400], [300, 300, 480, 480, 250, 250])
    rows = film([wide(i, size, 300) for i, size in enumerate(sizes)])
    shown = [picture_in_tile(t.crop) or TILE for t in lefts(rows)]
    assert shown[0] == shown[-1] == TILE
    assert shown[230].h < 0.75
    assert all(inside(t.crop, WIDE[0]) for t in lefts(rows))
    assert np.abs(np.diff([picture.h for picture in shown])).max() < 0.05


def test_the_extension_does_not_flicker_at_its_limit():
    sizes = 400 + 20 * np.sin(np.arange(300) / 9)
    tiles = lefts(film([wide(i, size, 300) for i, size in enumerate(sizes)]))
    assert len({picture_in_tile(t.crop) for t in tiles[60:]}) == 1


def test_there_is_no_extension_that_would_show_the_neighbour():
    scenes = [scene(i, face(560, 560, 880), face(1420, 560, 880)) for i in range(40)]
    row = film(scenes)[-1]
    assert picture_in_tile(row.left.crop) is picture_in_tile(row.right.crop) is None


def test_crops_of_the_shape_of_a_tile_fill_it():
    assert picture_in_tile(Rect(3, 4, 480, 540)) is None
    assert picture_in_tile(Rect(0, 0, 960, 540)) == Rect(0.0, 1 / 6, 1.0, 0.5)
    assert picture_in_tile(Rect(0, 0, 240, 540)) == Rect(0.25, 0.0, 0.5, 1.0)


def test_a_frozen_tile_keeps_its_extension():
    rows = film([wide(i, 480, 450) for i in range(60)] + [lost(i) for i in range(60, 90)], missing="freeze")
    assert rows[-1].left.source == "frozen"
    assert rows[-1].left.crop == rows[30].left.crop


def lost(i):
    return in_panels(i, "lost", face(1440, 550, 450), panels=WIDE)
