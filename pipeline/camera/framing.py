"""Geometry of a good crop of one face, and of the crops that a frame allows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from engines.frames import Rect
from pipeline.people import Side
from pipeline.settings import CameraSettings

Array: TypeAlias = NDArray[np.float64]

TILE_HEIGHT = 1080
HEIGHT_PER_WIDTH = 1.125  # tiles are 960x1080
_EYES_IN_BOX = 0.42  # height of the eyes in a face's box, from its top
_OWN_SHARE = 0.35  # of the distance to the other face: largest distance of the crop's centre from its own face
_ZOOM_ALWAYS = 1.5  # least zoom range that small frames allow, beyond upscale_max
_SLIVER = 0.05  # of a face's width that may be outside of its crop
_GRID = 64  # steps per pixel of a crop, so that edges add up exactly


@dataclass(frozen=True, slots=True)
class Band:
    """An interval for one quantity in each of N frames; ``lo`` and ``hi`` have shape (N,)."""

    lo: Array
    hi: Array

    def clipped(self, least: Array | float, most: Array | float) -> Band:
        return Band(np.clip(self.lo, least, most), np.clip(self.hi, least, most))


@dataclass(frozen=True, slots=True)
class CropConstraints:
    """Targets and limits of one quantity of the crop (width, centre x or centre y) in N frames.

    Attributes:
        want: the ideal, shape (N,).
        near: the narrow core of the dead zone, in which a movement should end.
        soft: the dead zone.
        hard: the interval that keeps the face inside the crop.
    """

    want: Array
    near: Band
    soft: Band
    hard: Band

    def typical(self) -> float:
        """Return the median of the ideal."""
        return float(np.median(self.want))


class Framing:
    """Crops of frames of one size.

    Attributes:
        width, height: of the displayed frame, pixels.
        widest, narrowest: limits of a crop's width, pixels; a close face may need more than ``narrowest``.
    """

    def __init__(self, settings: CameraSettings, width: int, height: int) -> None:
        self._settings = settings
        self.width, self.height = width, height
        self.widest = _floor(min(width, height / HEIGHT_PER_WIDTH))
        sharp = TILE_HEIGHT / settings.upscale_max / HEIGHT_PER_WIDTH
        self.narrowest = min(sharp, self.widest / _ZOOM_ALWAYS)

    def crop(self, cx: float, cy: float, width: float) -> Rect:
        """Return the crop with this centre and width, moved and shrunk as little as needed to lie inside the frame."""
        w = min(_round(width), self.widest)
        h = w * HEIGHT_PER_WIDTH
        x = min(max(_round(cx - w / 2), 0.0), _floor(self.width - w))
        y = min(max(_round(cy - h / 2), 0.0), _floor(self.height - h))
        return Rect(x, y, w, h)

    def centred_split(self, side: Side) -> Rect:
        """Return the largest crop in the centre of one half of the frame."""
        cx = self.width * (0.25 if side == "left" else 0.75)
        return self.crop(cx, self.height / 2, self.width / 2)

    def width_constraints(self, faces: Array, others: Array) -> CropConstraints:
        """Return the constraints of the crop's width.

        Args:
            faces, others: boxes, (N, 4), pixels; unknown others are NaN.
        """
        s = self._settings
        room = 1 + 2 * s.face_margin
        least = np.maximum(faces[:, 2], faces[:, 3] / HEIGHT_PER_WIDTH) * room
        least = np.minimum(least, self.widest)
        most = np.clip(self._widest_beside(faces, others), least, self.widest)
        target = np.maximum(faces[:, 3] / s.face_share / HEIGHT_PER_WIDTH, self.narrowest)
        target = np.clip(target, least, most)
        tolerance = target * s.zoom_tolerance
        return CropConstraints(
            want=target,
            near=_around(target, tolerance * s.settle).clipped(least, most),
            soft=_around(target, tolerance).clipped(least, most),
            hard=Band(least, most),
        )

    def _widest_beside(self, faces: Array, others: Array) -> Array:
        """Return the largest width at which the own face is nearest to the crop's centre, near the frame's edge."""
        own, other = _centre_x(faces), _centre_x(others)
        apart = np.abs(other - own)
        to_edge = np.where(other > own, own, self.width - own)
        limit = 2 * (to_edge + _OWN_SHARE * apart)
        return np.where(np.isnan(other) | overlapping(faces, others), self.widest, limit)

    def x_constraints(self, faces: Array, others: Array, widths: Array) -> CropConstraints:
        """Return the constraints of the crop's centre in x, for crops of these widths, shape (N,)."""
        s = self._settings
        own, other = _centre_x(faces), _centre_x(others)
        alone = np.isnan(other) | overlapping(faces, others)
        beside = np.where(alone, np.inf, _OWN_SHARE * np.abs(other - own))
        inside = widths / 2 - faces[:, 2] * (0.5 + s.face_margin)
        zone = np.minimum(widths * s.dead_zone, beside)
        hard = np.minimum(np.maximum(inside, 0), np.maximum(beside, zone))
        return self._position(own, own, zone, hard, widths / 2, self.width)

    def y_constraints(self, faces: Array, widths: Array) -> CropConstraints:
        """Return the constraints of the crop's centre in y, for crops of these widths, shape (N,)."""
        s = self._settings
        heights = widths * HEIGHT_PER_WIDTH
        target = faces[:, 1] + faces[:, 3] * _EYES_IN_BOX + heights * (0.5 - s.eye_line)
        inside = heights / 2 - faces[:, 3] * (0.5 + s.face_margin)
        middle = faces[:, 1] + faces[:, 3] / 2
        zone = widths * s.dead_zone_vertical
        return self._position(target, middle, zone, np.maximum(inside, 0), heights / 2, self.height)

    def _position(
        self, target: Array, middle: Array, zone: Array, inside: Array, half: Array, size: int
    ) -> CropConstraints:
        """Return the constraints of the crop's centre in one direction.

        Args:
            target: the ideal centre.
            middle: the centre of the face.
            zone: half of the dead zone.
            inside: largest distance of the crop's centre from ``middle``.
            half: half of the crop's extent.
            size: extent of the frame.
        """
        least, most = half, size - half
        hard = _around(middle, inside).clipped(least, most)
        target = np.clip(target, hard.lo, hard.hi)
        return CropConstraints(
            want=target,
            near=_around(target, zone * self._settings.settle).clipped(hard.lo, hard.hi),
            soft=_around(target, zone).clipped(hard.lo, hard.hi),
            hard=hard,
        )


def contains_centre(crop: Rect, face: Rect, margin: float = 0.0) -> bool:
    """Return whether the face's centre is in the crop, or less than ``margin`` crop widths away from it."""
    m = margin * crop.w
    return crop.x - m <= face.cx <= crop.x + crop.w + m and crop.y - m <= face.cy <= crop.y + crop.h + m


def contains_face(crop: Rect, face: Rect, width: int, height: int) -> bool:
    """Return whether the crop holds the whole visible part of the face, except for a small tolerance."""
    slack = _SLIVER * face.w
    left, right = max(face.x, 0.0), min(face.x + face.w, float(width))
    top, bottom = max(face.y, 0.0), min(face.y + face.h, float(height))
    across = crop.x - slack <= left and right <= crop.x + crop.w + slack
    return across and crop.y - slack <= top and bottom <= crop.y + crop.h + slack


def touches(crop: Rect, face: Rect) -> bool:
    """Return whether any part of the face is in the crop."""
    across = face.x < crop.x + crop.w and crop.x < face.x + face.w
    return across and face.y < crop.y + crop.h and crop.y < face.y + face.h


def overlapping(faces: Array, others: Array) -> NDArray[np.bool_]:
    """Return for each row whether the two faces overlap, shape (N,); False where one is unknown (NaN)."""
    gap = np.abs(faces[:, :2] + faces[:, 2:] / 2 - others[:, :2] - others[:, 2:] / 2)
    return np.asarray(np.all(gap < (faces[:, 2:] + others[:, 2:]) / 2, axis=1))


def _centre_x(boxes: Array) -> Array:
    return boxes[:, 0] + boxes[:, 2] / 2


def _around(middle: Array, radius: Array) -> Band:
    return Band(middle - radius, middle + radius)


def _floor(value: float) -> float:
    return math.floor(value * _GRID) / _GRID


def _round(value: float) -> float:
    return math.floor(value * _GRID + 0.5) / _GRID
