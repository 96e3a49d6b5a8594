"""Intervals over time, and positions of face boxes; arrays hold one row for each frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Band:
    """An interval for one quantity in each of N frames; ``lo`` and ``hi`` have shape (N,)."""

    lo: Array
    hi: Array

    @classmethod
    def around(cls, middle: Array, radius: Array) -> Band:
        return cls(middle - radius, middle + radius)

    def clipped(self, least: Array | float, most: Array | float) -> Band:
        return Band(clipped(self.lo, least, most), clipped(self.hi, least, most))

    def within(self, other: Band) -> Band:
        return self.clipped(other.lo, other.hi)


@dataclass(frozen=True, slots=True)
class CropConstraints:
    """Targets and limits of one quantity of the crop (width, centre x or centre y) in N frames.

    Attributes:
        want: the ideal, shape (N,).
        near: returns the narrow core of the dead zone, in which a movement should end; a camera at rest does not ask.
        soft: the dead zone.
        hard: the interval that keeps the face inside the crop.
    """

    want: Array
    near: Callable[[], Band]
    soft: Band
    hard: Band

    def typical(self) -> float:
        """Return the median of the ideal."""
        return median_of(self.want)


def clipped(values: Array | float, least: Array | float, most: Array | float) -> Array:
    """Return the values within limits, as ``np.clip``, which takes several times as long for few values."""
    limited: Array = np.minimum(np.maximum(values, least), most)
    return limited


def median_of(values: Array) -> float:
    """Return the median, as ``np.median``, which takes several times as long for few values."""
    return float(median(values.tolist()))


def centre_x(boxes: Array) -> Array:
    return boxes[:, 0] + boxes[:, 2] / 2


def overlapping(faces: Array, others: Array) -> NDArray[np.bool_]:
    """Return for each row whether the two faces overlap, shape (N,); False where one is unknown (NaN)."""
    gap = np.abs(faces[:, :2] + faces[:, 2:] / 2 - others[:, :2] - others[:, 2:] / 2)
    is_near = gap < (faces[:, 2:] + others[:, 2:]) / 2
    return np.asarray(is_near[:, 0] & is_near[:, 1])
