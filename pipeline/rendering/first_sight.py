"""What only the whole video shows: whether it has a second person, and a good frame of who is seen later.

A tile shows that frame until its person appears. Until the second person is seen, rows are decided full frame; they
become two tiles if that person is in the file after all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from engines.frames import Rect, Size
from pipeline.camera.freeze_frame import still_quality
from pipeline.camera.visibility import contains_face
from pipeline.people import Row, Tile

NO_PICTURES: Mapping[int, float] = MappingProxyType({})
_LEAVING_S = 1.0  # so long the camera may take to leave a picture
_SEARCH_S = 3.0  # after the first sight, in which the best frame is taken


@dataclass(frozen=True, slots=True)
class FirstSight:
    """Until when a tile has nobody to show, and what it shows until then."""

    until_pts: int
    tile: Tile

    def apply(self, tile: Tile, pts: int, other: Tile) -> Tile:
        """Return what the tile shows in the frame with this pts; a picture stays if the other tile has its person."""
        stays = tile.face is not None and other.person == self.tile.person
        return self.tile if pts < self.until_pts and not stays else tile


@dataclass(frozen=True, slots=True)
class FirstSights:
    """The first sight in either tile, and the layout that follows from the number of people.

    Attributes:
        left, right: None where the person is seen in the first frame, or never.
        is_single: one person at most is in the whole file.
        splits: rows that were decided full frame are to be two tiles.
    """

    left: FirstSight | None = None
    right: FirstSight | None = None
    is_single: bool = False
    splits: bool = False

    @classmethod
    def of(cls, rows: Iterable[Row], size: Size, pictures_until: Mapping[int, float] = NO_PICTURES) -> FirstSights:
        """Read the decided rows of a whole video, no further than needed.

        Args:
            size: of the displayed frame, for rows that do not have their own.
            pictures_until: by person, until when in seconds a poster or a photograph was taken for them; their tile
                shows the person's first sight in its place.
        """
        left, right = _Search(size, pictures_until), _Search(size, pictures_until)
        people: set[int | None] = set()
        full = False
        for row in rows:
            full = full or row.full is not None
            people |= {tile.person for tile in (row.left, row.right) if tile.face is not None}
            left.observe(row, row.left, row.right)
            right.observe(row, row.right, row.left)
            if left.done and right.done and len(people) > 1:
                break
        is_single = full and len(people) < 2
        return cls(left.result, right.result, is_single, full and not is_single)

    def __bool__(self) -> bool:
        """Return whether any row is to be shown otherwise than it was decided."""
        return self.splits or (not self.is_single and (self.left is not None or self.right is not None))

    def apply(self, row: Row) -> Row:
        """Return the row with a still in each tile whose person has not been seen yet."""
        if self.is_single:
            return row
        left = self.left.apply(row.left, row.pts, row.right) if self.left else row.left
        right = self.right.apply(row.right, row.pts, row.left) if self.right else row.right
        return replace(row, left=left, right=right, full=None if self.splits else row.full)


class _Search:
    """Looks for the first sight in one tile, and for the best frame soon after it."""

    def __init__(self, size: Size, pictures_until: Mapping[int, float]) -> None:
        self.done = False
        self._size, self._pictures_until = size, pictures_until
        self._begun = False
        self._until: tuple[int, float] | None = None  # pts and time of the first sight
        self._first_crop: tuple[Rect, Size | None] | None = None  # and its size of frame; where the still ends
        self._best: tuple[int, float] = (-1, 0.0)  # quality, and height of the face in pixels
        self._tile: Tile | None = None

    @property
    def result(self) -> FirstSight | None:
        return FirstSight(self._until[0], self._tile) if self._until and self._tile else None

    def observe(self, row: Row, tile: Tile, other: Tile) -> None:
        """Take the next row and its two tiles."""
        is_first, self._begun = not self._begun, True
        if self._until is not None and row.t > self._until[1] + _SEARCH_S:
            self.done = True
        if self.done or tile.face is None or self._shows_picture(row, tile):
            return
        if is_first:
            self.done = True
            return
        self._until = self._until or (row.pts, row.t)
        self._first_crop = self._first_crop or (tile.crop, row.frame)
        quality, crop = self._best_crop(row, tile, other)
        if (rank := (quality, tile.face.h)) > self._best:
            self._best = rank
            self._tile = Tile(tile.person, None, crop, "frozen", row.pts)

    def _shows_picture(self, row: Row, tile: Tile) -> bool:
        until = self._pictures_until.get(tile.person or 0)
        return until is not None and row.t < until + _LEAVING_S

    def _best_crop(self, row: Row, tile: Tile, other: Tile) -> tuple[int, Rect]:
        """Return quality and crop of a still: that with which the live tile begins, if the still is hardly worse so."""
        own = self._quality(row, tile.crop, tile, other)
        if self._first_crop is not None and self._first_crop[1] == row.frame:
            first = self._first_crop[0]
            quality = self._quality(row, first, tile, other)
            if quality > 0 and quality >= own - 1:
                return quality, first
        return own, tile.crop

    def _quality(self, row: Row, crop: Rect, tile: Tile, other: Tile) -> int:
        face = tile.face
        if face is None:
            return -1
        inside = contains_face(crop, face, *(row.frame or self._size))
        return still_quality(crop, face, other.face, inside=inside, source=tile.source)
