"""Rows of the tracks file."""

from __future__ import annotations

from engines.frames import Rect
from pipeline.people import Row, Tile


def row(pts: int) -> Row:
    tile = Tile(1, Rect(10, 20, 30.123456, 40), Rect(0, 0, 800, 900), "detected")
    return Row(pts, pts / 15360, tile, Tile(None, None, Rect(1, 2, 8, 9), "held"))
