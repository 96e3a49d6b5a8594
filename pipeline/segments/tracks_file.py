"""Reads NAME.dual.tracks.jsonl.gz: row by row, and as a summary of bounded size for plots."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import orjson
from numpy.typing import NDArray

from engines.frames import Rect
from pipeline.full_frame import whole
from pipeline.people import Row, Side, Source, Tile, size_from_json

SOURCES: tuple[Source, ...] = get_args(Source)
SIDES: tuple[Side, ...] = get_args(Side)
_WAITING: tuple[Source, ...] = ("held", "frozen", "placeholder")


def read_tracks(path: Path) -> Iterator[Row]:
    """Yield the rows of a tracks file; their pts is 0, as the file has times only.

    Raises:
        OSError: it cannot be read.
    """
    with gzip.open(path) as lines:
        for line in lines:
            row = orjson.loads(line)
            left, right = _tile(row["left"]), _tile(row["right"])
            full = whole(left.crop, right.crop) if row.get("layout") == "single" else None
            yield Row(0, row["t"], left, right, size_from_json(row.get("picture")), full)


def _tile(data: dict[str, Any]) -> Tile:
    face = None if data["face"] is None else Rect(*data["face"])
    return Tile(data["person"], face, Rect(*data["crop"]), data["source"])


class TrackSummary:
    """What the tiles show over the duration, in ``bins`` equal parts of it.

    Attributes:
        sources: number of frames by side, source (as in ``SOURCES``) and bin, shape (2, sources, bins).
        crops: mean centre x and y, width and height of the crop by side and bin, in pixels of the source frame, shape
            (2, bins, 4); NaN if a bin has no frame.
    """

    def __init__(self, tracks: Path, duration_s: float, bins: int) -> None:
        self._rows = read_tracks(tracks)
        self._bins_per_s = bins / max(duration_s, 1e-6)
        self._crops = np.zeros((2, bins, 4))
        self.sources: NDArray[np.int64] = np.zeros((2, len(SOURCES), bins), np.int64)

    def until(self, t: float) -> Row | None:
        """Read up to the frame at ``t`` seconds (within 0.5 ms) and return its row; None if the rows end before."""
        for row in self._rows:
            self._count(row)
            if row.t >= t - 0.0005:
                return row
        return None

    def finish(self) -> TrackSummary:
        """Read all rows that are left; return the summary itself."""
        for row in self._rows:
            self._count(row)
        return self

    @property
    def busier_side(self) -> Side:
        """The side whose person is seen more."""
        seen = [number for number, source in enumerate(SOURCES) if source not in _WAITING]
        return SIDES[int(self.sources[:, seen].sum(axis=(1, 2)).argmax())]

    @property
    def crops(self) -> NDArray[np.float64]:
        frames = self.sources.sum(axis=1)[:, :, None].astype(float)
        frames[frames == 0] = np.nan
        means: NDArray[np.float64] = self._crops / frames
        return means

    def _count(self, row: Row) -> None:
        bin_number = min(max(0, int(row.t * self._bins_per_s)), self.sources.shape[2] - 1)
        for side, tile in enumerate((row.left, row.right)):
            self.sources[side, SOURCES.index(tile.source), bin_number] += 1
            self._crops[side, bin_number] += (tile.crop.cx, tile.crop.cy, tile.crop.w, tile.crop.h)
