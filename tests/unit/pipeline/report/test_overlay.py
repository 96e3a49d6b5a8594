"""The debug overlay."""

from __future__ import annotations

import numpy as np
import pytest

from engines.frames import Frame, Rect
from pipeline.people import Row, Tile
from pipeline.report.overlay import draw_overlay

LEFT_Y, RIGHT_Y = 170, 173


def frame(width, height):
    """Noise, so that any change shows."""
    rng = np.random.default_rng(3)
    y = rng.integers(20, 120, (height, width), np.uint8)
    uv = rng.integers(100, 150, ((height + 1) // 2, (width + 1) // 2, 2), np.uint8)
    return Frame(y, uv, pts=77, duration=512, replaced=True)


def row(left, right):
    return Row(77, 1.25, left, right)


LEFT = Tile(1, Rect(200, 300, 80, 100), Rect(100, 200, 320, 360), "detected")
RIGHT = Tile(2, Rect(900, 300, 80, 100), Rect(780, 200, 320, 360), "tracked")


def edges(rect):
    """A point on each edge."""
    x, y, right, bottom = rect.x, rect.y, rect.x + rect.w - 1, rect.y + rect.h - 1
    middle_x, middle_y = x + rect.w // 2, y + rect.h // 2
    return [(middle_x, y), (middle_x, bottom), (x, middle_y), (right, middle_y)]


def luma(frame, points, scale=1.0):
    return {int(frame.y[int(y * scale), int(x * scale)]) for x, y in points}


def test_faces_and_crops_are_drawn_where_they_are():
    drawn = draw_overlay(frame(1280, 720), row(LEFT, RIGHT), width=1280, height=720)
    assert luma(drawn, edges(LEFT.face) + edges(LEFT.crop)) == {LEFT_Y}
    assert luma(drawn, edges(RIGHT.face) + edges(RIGHT.crop)) == {RIGHT_Y}


def test_the_source_and_the_rest_of_the_frame_stay_as_they_are():
    source = frame(1280, 720)
    before = source.y.copy(), source.uv.copy()
    drawn = draw_overlay(source, row(LEFT, RIGHT), width=1280, height=720)
    assert (source.y == before[0]).all()
    assert (source.uv == before[1]).all()
    assert (drawn.y[600:] == source.y[600:]).all()
    assert (drawn.uv[300:] == source.uv[300:]).all()
    assert (drawn.pts, drawn.duration, drawn.replaced) == (77, 512, True)


def test_a_smaller_surface_is_drawn_to_scale():
    drawn = draw_overlay(frame(640, 360), row(LEFT, RIGHT), width=1280, height=720)
    assert luma(drawn, edges(LEFT.crop)[:1] + edges(LEFT.crop)[2:3], 0.5) == {LEFT_Y}


def test_a_placeholder_has_no_crop_to_draw():
    nobody = Tile(None, None, Rect(100, 200, 320, 360), "placeholder")
    source = frame(1280, 720)
    drawn = draw_overlay(source, row(nobody, RIGHT), width=1280, height=720)
    assert (drawn.y[200:, :700] == source.y[200:, :700]).all()


def test_a_full_frame_has_one_crop():
    empty = Tile(None, None, Rect(420, 200, 320, 360), "held")
    shown = Row(77, 1.25, LEFT, empty, None, Rect(100, 200, 640, 360))
    drawn, source = draw_overlay(frame(1280, 720), shown, width=1280, height=720), frame(1280, 720)
    assert luma(drawn, edges(Rect(100, 200, 640, 360))) == {180}
    assert (drawn.y[250:290, 415:425] == source.y[250:290, 415:425]).all(), "no line in the middle"


@pytest.mark.parametrize(("width", "height"), [(64, 64), (65, 67), (1080, 1920), (321, 241)])
def test_boxes_may_reach_out_of_any_frame(width, height):
    tile = Tile(1, Rect(-30, -20, width, height), Rect(width - 20, height - 20, 80, 90), "held")
    source = frame(width, height)
    padded = Frame(np.pad(source.y, ((0, 0), (0, 7)))[:, :width], source.uv, 1, 1)
    drawn = draw_overlay(padded, row(tile, tile), width=width, height=height)
    assert drawn.y.shape == source.y.shape
    assert drawn.uv.shape == source.uv.shape
