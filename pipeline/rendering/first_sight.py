"""Tiles before their person is seen for the first time: they show the first good frame that follows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from engines.frames import Rect
from pipeline.people import Row, Tile


@dataclass(frozen=True, slots=True)
class FirstSight:
    """Until when a tile has nobody to show, and what it shows until then."""

    until_pts: int
    tile: Tile

    def apply(self, tile: Tile, pts: int) -> Tile:
        """Return what the tile shows in the frame with this pts."""
        return self.tile if pts < self.until_pts else tile


@dataclass(frozen=True, slots=True)
class FirstSights:
    """The first sight in either tile; None where it is in the first frame, or never."""

    left: FirstSight | None = None
    right: FirstSight | None = None

    @classmethod
    def of(cls, rows: Iterable[Row]) -> FirstSights:
        """Find the first sights in the decided rows of a whole video; reads no further than needed."""
        left, right = _Search(), _Search()
        for row in rows:
            left.observe(row.pts, row.left)
            right.observe(row.pts, row.right)
            if left.done and right.done:
                break
        return cls(left.result, right.result)

    def __bool__(self) -> bool:
        return self.left is not None or self.right is not None

    def apply(self, row: Row) -> Row:
        """Return the row with a still in each tile whose person has not been seen yet."""
        left = self.left.apply(row.left, row.pts) if self.left else row.left
        right = self.right.apply(row.right, row.pts) if self.right else row.right
        return replace(row, left=left, right=right)


class _Search:
    """Looks for the first sight in one tile."""

    def __init__(self) -> None:
        self.result: FirstSight | None = None
        self.done = False
        self._first = True

    def observe(self, pts: int, tile: Tile) -> None:
        """Take the next frame's tile."""
        first, self._first = self._first, False
        if self.done or tile.face is None:
            return
        inside = _is_inside(tile.face, tile.crop)
        self.done = first or inside
        if not first and (inside or self.result is None):
            until = self.result.until_pts if self.result else pts
            self.result = FirstSight(until, Tile(tile.person, None, tile.crop, "frozen", pts))


def _is_inside(face: Rect, crop: Rect) -> bool:
    across = crop.x <= face.x and face.x + face.w <= crop.x + crop.w
    return across and crop.y <= face.y and face.y + face.h <= crop.y + crop.h
