"""Fills what a crop leaves of its tile; ``engines.extension`` defines with what."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from engines.extension import (
    BLACK,
    BRIGHTNESS,
    COLUMNS,
    GREY,
    ROWS,
    Edges,
    Part,
    cell_edges,
    spline_weights,
)
from engines.frames import Frame, Plane, Rect

_weights = lru_cache(maxsize=16)(spline_weights)


def extend(frame: Frame, crop: Rect, part: Part, y: Plane, uv: Plane) -> None:
    """Fill the tile around a part of it.

    Args:
        crop: in pixels of the frame.
        part: which luma samples of the tile the crop fills.
        y, uv: planes of the tile, shapes (h, w) and (h / 2, w / 2, 2).
    """
    _extend(frame.y, crop, part, y, BLACK)
    _extend(frame.uv, crop.scaled(0.5, 0.5), part.halved(), uv, GREY)


def _extend(plane: Plane, crop: Rect, part: Part, tile: Plane, dark: int) -> None:
    height, width = tile.shape[:2]
    edges = cell_edges(crop, part, width, height, plane.shape[1], plane.shape[0])
    level = float(dark << (8 * tile.itemsize - 8))
    cells = level + np.float32(BRIGHTNESS) * (_means(plane, *edges) - np.float32(level))
    across, down = _weights(COLUMNS, width), _weights(ROWS, height)
    for rest in part.surroundings(width, height):
        rows, columns = slice(rest.top, rest.top + rest.height), slice(rest.left, rest.left + rest.width)
        blurred = np.einsum("ij,jk...,lk->il...", down[rows], cells, across[columns], optimize=True)
        rest.of(tile)[:] = np.rint(blurred)


def _means(plane: Plane, across: Edges, down: Edges) -> NDArray[np.float32]:
    """Return the means of the cells, shape (ROWS, COLUMNS) or (ROWS, COLUMNS, 2); an empty cell is one sample."""
    used = plane[down[0] : down[-1], across[0] : across[-1]]
    sums = np.add.reduceat(used, down[:-1] - down[0], axis=0, dtype=np.uint32)
    sums = np.add.reduceat(sums, across[:-1] - across[0], axis=1, dtype=np.uint64)
    counts = np.maximum(np.diff(down), 1)[:, None] * np.maximum(np.diff(across), 1)
    means: NDArray[np.float32] = (sums / counts.reshape(counts.shape + (1,) * (plane.ndim - 2))).astype(np.float32)
    return means
