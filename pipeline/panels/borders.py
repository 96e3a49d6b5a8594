"""Evidence of straight borders in one small luma frame."""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Votes: TypeAlias = NDArray[np.int8]

STRIPS = 18  # a border is measured in so many parts of its length
BORDER, FLAT, OTHER = 1, 0, -1

_CONTRAST_MAX = 48.0  # luma steps; limits the weight of few strong pixels
_CONTRAST_LEAST = 4.0  # luma steps, mean over a strip
_PROMINENCE = 2.2  # times the contrast beside the border
_PEAK = 0.7  # of the largest contrast within two pixels
_FLAT_MOST = 1.5  # luma steps: a strip without any detail near a position
_NEAR, _FAR = 3, 9  # pixels beside a border between which its surroundings are measured


def border_votes(luma: NDArray[np.float32]) -> Votes:
    """Return whether a vertical border runs through each strip at each column, shape (STRIPS, W).

    BORDER: the luma changes abruptly there, much more than beside it. FLAT: there is no detail at all, as beside a
    panel on a plain background; this says nothing. OTHER: there is detail, but no border.

    Args:
        luma: shape (H, W); transpose it for horizontal borders.
    """
    contrast = _contrast(luma)
    peak, detail = (cv2.dilate(contrast, np.ones((1, width), np.uint8)) for width in (5, 9))
    is_border = (
        (contrast >= _CONTRAST_LEAST) & (contrast >= _PEAK * peak) & (contrast >= _PROMINENCE * _beside(contrast))
    )
    votes: Votes = np.where(is_border, BORDER, np.where(detail < _FLAT_MOST, FLAT, OTHER)).astype(np.int8)
    return votes


def _contrast(luma: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean contrast between the columns left and right of each column, shape (STRIPS, W)."""
    edges = np.linspace(0, luma.shape[0], STRIPS + 1).astype(np.intp)
    steps = np.minimum(np.abs(luma[:, 2:] - luma[:, :-2]), _CONTRAST_MAX)
    contrast = np.add.reduceat(steps, edges[:-1], axis=0) / np.diff(edges)[:, None]
    return np.pad(contrast, ((0, 0), (1, 1)), mode="edge").astype(np.float32)


def _beside(contrast: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean contrast on the calmer side of each column, shape (STRIPS, W)."""
    total = np.zeros((len(contrast), contrast.shape[1] + 1))
    np.cumsum(contrast, axis=1, dtype=np.float64, out=total[:, 1:])
    sides = []
    for first, last in _sides(contrast.shape[1]):
        count = last - first
        mean = (total[:, last] - total[:, first]) / np.maximum(count, 1)
        sides.append(np.where(count > 0, mean, np.inf))
    return np.minimum(*sides).astype(np.float32)


@lru_cache(maxsize=64)
def _sides(width: int) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Return the first and the last column of the surroundings of each column, on either side."""
    ends = ((-_FAR, -_NEAR), (_NEAR + 1, _FAR + 1))
    columns = np.arange(width)
    return [(np.clip(columns + begin, 0, width), np.clip(columns + end, 0, width)) for begin, end in ends]
