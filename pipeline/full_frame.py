"""The layout of a row: two tiles, or full frame while one person alone has been seen."""

from __future__ import annotations

from dataclasses import replace

from engines.frames import Rect
from pipeline.people import Row, Tile


def laid_out(row: Row) -> Row:
    """Return the row as it is shown: the tiles of a full frame are the halves of the picture."""
    if row.full is None:
        return row
    left, right = halves(row.full)
    if _is_right(row):
        return replace(row, left=_empty(left), right=_live(row.right, right))
    return replace(row, left=_live(row.left, left), right=_empty(right))


def split(row: Row) -> Row:
    """Return the row as two tiles that both show the only person, of which a pin replaces one."""
    if row.full is None:
        return row
    tile = row.right if _is_right(row) else row.left
    return replace(row, left=tile, right=tile, full=None)


def halves(full: Rect) -> tuple[Rect, Rect]:
    """Return what the left and the right half of the output show."""
    half = full.w / 2
    return Rect(full.x, full.y, half, full.h), Rect(full.x + half, full.y, half, full.h)


def whole(left: Rect, right: Rect) -> Rect:
    """Return the crop that has these halves."""
    return Rect(left.x, left.y, left.w + right.w, left.h)


def _is_right(row: Row) -> bool:
    """Return whether the only person belongs in the right tile."""
    return row.left.person is None and row.right.person is not None


def _live(tile: Tile, crop: Rect) -> Tile:
    source = "held" if tile.source in ("frozen", "placeholder") else tile.source
    return Tile(tile.person, tile.face, crop, source)


def _empty(crop: Rect) -> Tile:
    return Tile(None, None, crop, "held")
