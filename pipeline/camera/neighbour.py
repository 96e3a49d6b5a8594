"""The other person's head beside one's own: crops hold all of it or none of it, never a part of the face."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pipeline.camera.bands import Array, Band, centre_x, median_of, overlapping

_HEAD = 0.2  # of a face's width: how far the head reaches past the face on each side
_HAIR = 0.35  # of a face's height: how far it reaches above
_SHIFT = {"apart": 0.22, "touching": 0.31}  # of the crop's width: how far the own face may be from the centre for that
_OVERLAP = 0.2  # of the narrower face's width: faces that overlap by more cannot be separated
_GAP = 0.3  # of the gap between two faces, from the own one on: where a crop ends between them
_PLAY = 0.08  # of a face's width: how far the end of such a crop may be from there
_TOWARDS = 0.35  # of the distance to the neighbour: how far the centre may move towards them to hold both heads
_CENTRED = 0.15  # ... where there is room for a wider crop
STEADY = 0.75  # of a face's width: people whose distance changes by more within the look-ahead are passing
STILL = 0.3  # ... are on their way to or from each other

# How a crop treats a neighbour: it leaves out all of their head; it ends between two faces that are too near for that;
# or it holds both heads.
Separation: TypeAlias = Literal["apart", "touching", "together"]
SEPARATIONS: tuple[Separation, ...] = ("apart", "touching", "together")


@dataclass(frozen=True, slots=True)
class Pair:
    """The own face and the other one in N frames.

    Attributes:
        faces, others: (N, 4), boxes in pixels; unknown others are NaN.
        own, other: (N,), their centres in x.
        apart: (N,), distance of the centres, pixels.
        overlap: (N,), whether the two faces overlap.
        alone: (N,), whether no other face is beside the own one.
    """

    faces: Array
    others: Array
    own: Array
    other: Array
    apart: Array
    overlap: NDArray[np.bool_]
    alone: NDArray[np.bool_]

    @classmethod
    def of(cls, faces: Array, others: Array) -> Pair:
        own, other, overlap = centre_x(faces), centre_x(others), overlapping(faces, others)
        return cls(faces, others, own, other, np.abs(other - own), overlap, np.isnan(other) | overlap)


@dataclass(frozen=True, slots=True)
class Neighbour:
    """The other person's head in N frames, from the centre of the own face.

    Attributes:
        separation: how crops treat it.
        own: (N,), centre of the own face in x.
        side: (N,), 1 where the neighbour is to the right, -1 to the left.
        near, far: (N,), distances of the head's edges, pixels; infinite where there is no neighbour. Of touching faces,
            the near one is a line between them.
        apart: (N,), distance of the centres, pixels.
        room: (N,), distance from the own face's centre to the edge of the frame on the other side, pixels.
        play: (N,), how far crops may end beyond ``near``, pixels.
    """

    separation: Separation
    own: Array
    side: Array
    near: Array
    far: Array
    apart: Array
    room: Array
    play: Array

    @classmethod
    def of(cls, pair: Pair, separation: Separation, left: float, right: float) -> Neighbour:
        """Measure heads at the height of the own one, in a frame or panel from ``left`` to ``right``."""
        faces, others, own, apart = pair.faces, pair.others, pair.own, pair.apart
        half = others[:, 2] * (0.5 + _HEAD)
        near, play = apart - half, np.zeros_like(apart)
        is_beside = ~pair.overlap & (apart > half)
        if separation == "touching":
            gap = apart - (faces[:, 2] + others[:, 2]) / 2
            near, play = faces[:, 2] / 2 + _GAP * np.maximum(gap, 0), _PLAY * faces[:, 2]
            is_beside |= gap > -_OVERLAP * np.minimum(faces[:, 2], others[:, 2])
        is_beside &= _at_same_height(faces, others)
        side = np.where(pair.other > own, 1.0, -1.0)
        room = np.where(side > 0, own - left, right - own)
        near, far = (np.where(is_beside, distance, np.inf) for distance in (near, apart + half))
        return cls(separation, own, side, near, far, apart, room, play)

    @property
    def is_known(self) -> NDArray[np.bool_]:
        return np.isfinite(self.near)

    def change(self, faces: Array) -> float:
        """Return the largest change of their distance, in widths of the own face."""
        known = self.is_known
        distance = (self.apart * self.side)[known]
        return float(np.ptp(distance) / median_of(faces[known, 2])) if known.any() else 0.0

    def widest_without(self) -> Array:
        """Return the largest width of a crop without the neighbour's head, shape (N,)."""
        return np.minimum(self.near / (0.5 - _SHIFT.get(self.separation, 0.0)), self.near + self.room)

    def narrowest_with(self, most: Array) -> Array:
        """Return the smallest width of a crop that holds both heads with the own one near its centre, shape (N,).

        Zero where such a crop would have to be wider than ``most``.
        """
        centred = 2 * (self.far - _CENTRED * self.apart)
        aside = np.minimum(2 * (self.far - _TOWARDS * self.apart), self.far + self.room)
        widths = np.where(centred <= most, centred, aside)
        return np.where(self.is_known & (widths <= most), widths, 0.0)

    @property
    def slack(self) -> Array:
        """How far a crop of both heads may be from the own face without need, pixels, shape (N,)."""
        return np.where(self.is_known, _CENTRED * self.apart, np.inf)

    def centres(self, widths: Array, *, apart: bool) -> Band:
        """Return the centres in x of crops of these widths without the neighbour's head, or with all of it."""
        edge = np.where(self.is_known, self.near + self.play if apart else self.far, np.inf) - widths / 2
        limit = np.where(self.is_known, self.own + self.side * edge, np.nan)
        is_upper = self.is_known & ((self.side > 0) == apart)
        is_lower = self.is_known & ((self.side < 0) == apart)
        return Band(np.where(is_lower, limit, -np.inf), np.where(is_upper, limit, np.inf))


def _at_same_height(faces: Array, others: Array) -> NDArray[np.bool_]:
    """Return whether a usual crop of the own face reaches the other head in height, shape (N,)."""
    top, bottom = faces[:, 1] - 0.8 * faces[:, 3], faces[:, 1] + 2.6 * faces[:, 3]
    above, below = others[:, 1] - _HAIR * others[:, 3], others[:, 1] + others[:, 3]
    return np.asarray((above < bottom) & (below > top))
