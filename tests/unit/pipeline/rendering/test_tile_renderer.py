"""What rows become in pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engines.cpu.compose import CpuCompositor
from engines.frames import Frame, Rect
from pipeline.people import Row, Tile
from pipeline.rendering.frame_cache import FrameCache
from pipeline.rendering.tile_renderer import TileRenderer

DISPLAY = (1280, 720)
WIDE = Rect(0, 360, 640, 320)  # on the display; twice as wide as high


def striped(pts=0):
    """A working frame of half the displayed size: each row of the left half has a luma of its own."""
    y = np.full((360, 640), 90, np.uint8)
    y[:, :320] = np.linspace(40, 220, 360).astype(np.uint8)[:, None]
    return Frame(y, np.full((180, 320, 2), 128, np.uint8), pts, 1)


def renderer():
    return TileRenderer(CpuCompositor(480, 270), FrameCache(striped, recent=4), display=DISPLAY)


def row(crop, source="detected", still_pts=None):
    tile = Tile(1, None, crop, source, still_pts)
    return Row(0, 0.0, tile, replace(tile, crop=Rect(640, 0, 640, 720), source="detected", still_pts=None))


def test_a_wide_crop_lies_in_the_upper_part_of_its_tile():
    out = renderer().render(striped(), row(WIDE)).y[:, :240].astype(int)
    height = 2 * round(320 / 640 * 240 / 2)  # as wide as the tile
    top = 2 * round((270 - height) / 3 / 2)
    picture, frame = out[top : top + height], striped().y[180:340, 0]
    assert picture[0, 100] == pytest.approx(frame[0], abs=2)
    assert picture[-1, 100] == pytest.approx(frame[-1], abs=2)
    for around in (out[:top], out[top + height :]):
        assert around.max() < 0.65 * frame.max()
    assert np.abs(np.diff(out[:, 100])).max() > 20, "the picture's edge is sharp"


def test_a_crop_of_the_tiles_shape_fills_it():
    out = renderer().render(striped(), row(Rect(0, 0, 640, 720))).y[:, :240]
    assert out[0, 100] == pytest.approx(40, abs=2)
    assert out[-1, 100] == pytest.approx(220, abs=2)


def test_a_frozen_tile_is_drawn_with_its_extension():
    drawn = renderer()
    live = drawn.render(striped(), row(WIDE)).y[:, :240]
    still = drawn.render(striped(7), row(WIDE, "frozen", 0)).y[:, :240]
    assert np.array_equal(live, still)
