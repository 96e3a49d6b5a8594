"""The extension of a crop of another shape than its tile: where the crop lies in the tile, and what surrounds it.

What surrounds it is the crop's own middle, as large as the tile, darkened and so strongly blurred that only its colours
are left: the means of a coarse grid of cells, joined by a cubic B-spline. All compositors draw it from these numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.frames import Plane, Rect

COLUMNS, ROWS = 16, 18  # cells
BRIGHTNESS = 0.6  # of the crop's
BLACK, GREY = 16, 128  # luma and chroma from which brightness is counted

Edges = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Part:
    """A rectangle of whole samples."""

    left: int
    top: int
    width: int
    height: int

    def halved(self) -> Part:
        """Return the same part in samples of chroma."""
        return Part(self.left // 2, self.top // 2, self.width // 2, self.height // 2)

    def of(self, plane: Plane) -> Plane:
        """Return this part of a tile's plane."""
        return plane[self.top : self.top + self.height, self.left : self.left + self.width]

    def surroundings(self, width: int, height: int) -> list[Part]:
        """Return the parts of a tile of this size around this one: above, below, left and right of it."""
        right, bottom = self.left + self.width, self.top + self.height
        parts = (
            Part(0, 0, width, self.top),
            Part(0, bottom, width, height - bottom),
            Part(0, self.top, self.left, self.height),
            Part(right, self.top, width - right, self.height),
        )
        return [part for part in parts if part.width and part.height]


def part_of_tile(picture: Rect | None, width: int, height: int) -> Part:
    """Return which luma samples of a tile of this size the crop fills; even numbers.

    Args:
        picture: in parts of the tile; None is all of it.
    """
    if picture is None:
        return Part(0, 0, width, height)
    w, h = (max(2, 2 * round(share * size / 2)) for share, size in ((picture.w, width), (picture.h, height)))
    left, top = 2 * round(picture.x * width / 2), 2 * round(picture.y * height / 2)
    return Part(min(left, width - w), min(top, height - h), w, h)


def cell_edges(
    crop: Rect, part: Part, width: int, height: int, plane_width: int, plane_height: int
) -> tuple[Edges, Edges]:
    """Return where the cells of an extension begin, and where the last ones end, on each axis of a plane.

    Args:
        crop: in samples of the plane.
        part: which samples of the tile the crop fills.
        width, height: of the tile, in the same samples.
    """
    scale = max(width / part.width, height / part.height)
    across = _edges(crop.cx, crop.w * width / part.width / scale, COLUMNS, plane_width)
    return across, _edges(crop.cy, crop.h * height / part.height / scale, ROWS, plane_height)


def _edges(middle: float, length: float, count: int, limit: int) -> Edges:
    edges = np.floor(middle - length / 2 + length * np.arange(count + 1) / count + 0.5)
    edges[:-1] = np.clip(edges[:-1], 0, limit - 1)
    edges[-1] = np.clip(edges[-1], edges[-2] + 1, limit)
    return edges.astype(np.int32)


def spline_weights(cells: int, samples: int) -> NDArray[np.float32]:
    """Return the weights of the cells at the middle of each sample, shape (samples, cells); the outer cells repeat."""
    at = (np.arange(samples) + 0.5) * cells / samples - 0.5
    weights = np.zeros((samples, cells))
    for n in range(-1, 3):
        index = np.floor(at).astype(np.intp) + n
        distance = np.abs(at - index)
        weight = np.where(distance < 1, 2 / 3 - distance**2 + distance**3 / 2, (2 - np.minimum(distance, 2)) ** 3 / 6)
        np.add.at(weights, (np.arange(samples), np.clip(index, 0, cells - 1)), weight)
    return weights.astype(np.float32)
