"""Geometry of a good crop of one face, and of the crops that a frame allows."""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np

from engines.frames import Rect
from pipeline.camera.bands import Array, Band, CropConstraints, centre_x, overlapping
from pipeline.camera.neighbour import Neighbour
from pipeline.people import Side
from pipeline.settings import CameraSettings

T = TypeVar("T", float, Array)

TILE_HEIGHT = 1080
HEIGHT_PER_WIDTH = 1.125  # tiles are 960x1080
_EYES_IN_BOX = 0.42  # height of the eyes in a face's box, from its top
_OWN_SHARE = 0.35  # of the distance to the other face: largest distance of the crop's centre from its own face
_OWN_SHARE_BOTH = 0.45  # ... at the edge of the frame, where the crop must hold both faces
_ZOOM_ALWAYS = 1.5  # least zoom range that small frames and panels allow, beyond upscale_max
_OUTSIDE = 0.05  # pixels by which a crop may reach out of its area
_SLIVER = 0.05  # of a face's width that may be outside of its crop
_CLOSEST = 0.45  # of the crop's height: the largest face where a neighbour is to be kept out
_LEVEL = 1.08  # largest ratio of the two faces' shares of their tiles, where the frame allows it
_FAR_SHARE = 0.65  # of the usual share: a face is made no smaller to match a far one
_LEAD = 0.06  # of the crop's width: room in front of a head in profile
_LOOKS_AHEAD = 0.3  # a gaze nearer to the camera gets no such room
_NEAR = 1.4  # of the usual width: a crop that would hold the neighbour if it were so wide stays narrow
_DECIDED = 1.1  # a neighbour kept out so far stays out until a crop would have to be narrower by this factor
_GRID = 64  # steps per pixel of a crop, so that edges add up exactly


class Framing:
    """Crops of frames of one size, or of one panel in them.

    Attributes:
        width, height: of the displayed frame, pixels.
        area: the frame, or the panel in which crops belong.
        widest, narrowest: limits of a crop's width, pixels; a close face may need more than ``narrowest``.
    """

    def __init__(self, settings: CameraSettings, width: int, height: int, panel: Rect | None = None) -> None:
        self._settings = settings
        self.width, self.height = width, height
        self.frame = Rect(0.0, 0.0, float(width), float(height))
        self.area = panel or self.frame
        self.widest = widest_crop(self.area)
        sharp = TILE_HEIGHT / settings.upscale_max / HEIGHT_PER_WIDTH
        self.narrowest = min(sharp, self.widest / _ZOOM_ALWAYS)

    def crop(self, cx: float, cy: float, width: float) -> Rect:
        """Return the crop with this centre and width, moved and shrunk as little as needed to lie inside the frame."""
        w = min(_round(width), widest_crop(self.frame))
        h = w * HEIGHT_PER_WIDTH
        x = min(max(_round(cx - w / 2), 0.0), _floor(self.width - w))
        y = min(max(_round(cy - h / 2), 0.0), _floor(self.height - h))
        return Rect(x, y, w, h)

    def centred_split(self, side: Side) -> Rect:
        """Return the largest crop in the centre of one half of the area."""
        area = self.area
        width = min(area.w / 2, self.widest)
        cx = area.x + area.w * (0.25 if side == "left" else 0.75)
        return self.crop(cx, area.cy, width)

    def bounds(self, fixed: Array) -> Rect:
        """Return where crops may be after these control points, (M, 3): in the area, unless they are outside of it."""
        half = fixed[:, :1] * (0.5, HEIGHT_PER_WIDTH / 2)
        first, last = fixed[:, 1:] - half, fixed[:, 1:] + half
        area = self.area
        begins = np.all(first >= np.array([area.x, area.y]) - _OUTSIDE)
        ends = np.all(last <= np.array([area.x + area.w, area.y + area.h]) + _OUTSIDE)
        return area if begins and ends else self.frame

    def shares(self, height: T) -> tuple[T, T]:
        """Return the smallest and largest share of the tile's height that a face of this height can have."""
        return height / HEIGHT_PER_WIDTH / self.widest, height / HEIGHT_PER_WIDTH / self.narrowest

    def keeps_out(self, faces: Array, others: Array, before: bool | None) -> bool | None:
        """Return whether crops are to leave the neighbour out or to hold all of them; None where it does not matter.

        Args:
            before: what was decided before.
        """
        beside = self._neighbour(faces, others)
        known = beside.is_known
        if not known.any() or beside.is_passing(faces):
            return before if not len(faces) else None
        ratio = float(np.median((beside.widest_without() / self._tightest(faces))[known]))
        return ratio >= (1.0 if before is None else 1 / _DECIDED if before else _DECIDED)

    def width_constraints(
        self, faces: Array, others: Array, partner: Array, *, keep_out: bool | None = None
    ) -> CropConstraints:
        """Return the constraints of the crop's width.

        Args:
            faces, others: boxes, (N, 4), pixels; unknown others are NaN.
            partner: the smallest and largest share that the other person's face can have of its tile, (N, 2).
            keep_out: as ``keeps_out`` says.
        """
        s = self._settings
        least = self._least(faces)
        towards = _OWN_SHARE if keep_out is not False else _OWN_SHARE_BOTH
        most = np.clip(self._widest_beside(faces, others, towards), least, self.widest)
        share = self._share(faces[:, 3], partner if keep_out is not False else np.full_like(partner, np.nan))
        target = np.maximum(faces[:, 3] / share / HEIGHT_PER_WIDTH, self.narrowest)
        stays = np.full(len(faces), np.inf)  # a width from which the crop need not grow
        if keep_out is not None:
            beside = self._neighbour(faces, others)
            if keep_out:
                tightest, without = self._tightest(faces), beside.widest_without()
                most = np.minimum(most, np.maximum(without, tightest))
                stays = np.where(without < _NEAR * target, tightest, np.inf)
            else:
                least = np.maximum(least, beside.narrowest_with(most))
        target = np.clip(target, least, most)
        near, soft = (Band.around(target, target * s.zoom_tolerance * part) for part in (s.settle, 1.0))
        return CropConstraints(
            want=target,
            near=Band(np.minimum(near.lo, stays), near.hi).clipped(least, most),
            soft=Band(np.minimum(soft.lo, stays), soft.hi).clipped(least, most),
            hard=Band(self._least(faces), np.maximum(most, self._least(faces))),
        )

    def _least(self, faces: Array) -> Array:
        """Return the smallest width that holds the face with its margin, shape (N,)."""
        room = 1 + 2 * self._settings.face_margin
        least = np.maximum(faces[:, 2], faces[:, 3] / HEIGHT_PER_WIDTH) * room
        return np.minimum(least, self.widest)

    def _tightest(self, faces: Array) -> Array:
        """Return the smallest width by which a neighbour may be kept out, shape (N,)."""
        close = np.maximum(faces[:, 3] / _CLOSEST / HEIGHT_PER_WIDTH, self.narrowest)
        usual = np.maximum(faces[:, 3] / self._settings.face_share / HEIGHT_PER_WIDTH, self.narrowest)
        return np.clip(np.minimum(close, usual), self._least(faces), self.widest)

    def _share(self, heights: Array, partner: Array) -> Array:
        """Return the face's share of its tile, shape (N,): the usual one, or one that both faces can have.

        A crop of both heads shows them in one size anyway; there ``partner`` is unknown.
        """
        usual = self._settings.face_share
        mine = np.clip(usual, *self.shares(heights))
        theirs = np.clip(usual, partner[:, 0], partner[:, 1])
        theirs = np.where(np.isnan(theirs), mine, theirs)
        level = np.clip(mine, theirs / _LEVEL, theirs * _LEVEL)
        share: Array = np.clip(level, np.minimum(mine, usual * _FAR_SHARE), np.maximum(mine, _CLOSEST))
        return share

    def _neighbour(self, faces: Array, others: Array) -> Neighbour:
        return Neighbour.of(faces, others, self.area.x, self.area.x + self.area.w)

    def _widest_beside(self, faces: Array, others: Array, towards: float) -> Array:
        """Return the largest width at which the own face is nearest to the crop's centre, near the frame's edge."""
        own, other = centre_x(faces), centre_x(others)
        apart = np.abs(other - own)
        to_edge = np.where(other > own, own - self.area.x, self.area.x + self.area.w - own)
        limit = 2 * (to_edge + towards * apart)
        return np.where(np.isnan(other) | overlapping(faces, others), self.widest, limit)

    def x_constraints(
        self, faces: Array, others: Array, gaze: Array, widths: Array, *, keep_out: bool | None = None
    ) -> CropConstraints:
        """Return the constraints of the crop's centre in x, for crops of these widths, shape (N,).

        Args:
            faces, others, keep_out: as in ``width_constraints``.
            gaze: where the person looks, (N,), -1 to 1; they get more room in front of them.
        """
        s = self._settings
        own, other = centre_x(faces), centre_x(others)
        alone = np.isnan(other) | overlapping(faces, others)
        beside = np.where(alone, np.inf, _OWN_SHARE * np.abs(other - own))
        inside = np.maximum(widths / 2 - faces[:, 2] * (0.5 + s.face_margin), 0)
        zone = np.minimum(widths * s.dead_zone, beside)
        towards = np.minimum(inside, np.maximum(beside, zone))
        ahead = own + self._lead(gaze) * widths
        if keep_out is None:
            return self._position(ahead, Band.around(own, towards), zone, widths / 2, (self.area.x, self.area.w))
        neighbour = self._neighbour(faces, others)
        away = inside if keep_out else towards
        to_right = np.where(neighbour.side > 0, towards, away)
        to_left = np.where(neighbour.side > 0, away, towards)
        limits = neighbour.centres(widths, apart=keep_out)
        target = np.clip(ahead, limits.lo, limits.hi)
        zone = zone if keep_out else np.minimum(zone, neighbour.slack)
        hard = Band(own - to_left, own + to_right)
        return self._position(target, hard, zone, widths / 2, (self.area.x, self.area.w), limits)

    def _lead(self, gaze: Array) -> float:
        """Return the lead room in parts of the crop's width for somebody who looks aside for a while."""
        look = float(np.median(gaze)) if len(gaze) else 0.0
        return math.copysign(_LEAD, look) * min(max((abs(look) - _LOOKS_AHEAD) / (1 - _LOOKS_AHEAD), 0.0), 1.0)

    def y_constraints(self, faces: Array, widths: Array) -> CropConstraints:
        """Return the constraints of the crop's centre in y, for crops of these widths, shape (N,)."""
        s = self._settings
        heights = widths * HEIGHT_PER_WIDTH
        target = faces[:, 1] + faces[:, 3] * _EYES_IN_BOX + heights * (0.5 - s.eye_line)
        inside = heights / 2 - faces[:, 3] * (0.5 + s.face_margin)
        middle = faces[:, 1] + faces[:, 3] / 2
        zone = widths * s.dead_zone_vertical
        hard = Band.around(middle, np.maximum(inside, 0))
        return self._position(target, hard, zone, heights / 2, (self.area.y, self.area.h))

    def _position(
        self,
        target: Array,
        hard: Band,
        zone: Array,
        half: Array,
        extent: tuple[float, float],
        limits: Band | None = None,
    ) -> CropConstraints:
        """Return the constraints of the crop's centre in one direction.

        Args:
            target: the ideal centre.
            hard: where the face is inside the crop.
            zone: half of the dead zone.
            half: half of the crop's extent.
            extent: start and length of the area.
            limits: further limits of the dead zone.
        """
        start, length = extent
        half = np.minimum(half, length / 2)
        hard = hard.clipped(start + half, start + length - half)
        target = np.clip(target, hard.lo, hard.hi)
        near, soft = Band.around(target, zone * self._settings.settle), Band.around(target, zone)
        if limits is not None:
            near, soft = near.within(limits), soft.within(limits)
        return CropConstraints(target, near.within(hard), soft.within(hard), hard)


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


def widest_crop(area: Rect) -> float:
    """Return the largest width of a crop inside an area."""
    return _floor(min(area.w, area.h / HEIGHT_PER_WIDTH))


def _floor(value: float) -> float:
    return math.floor(value * _GRID) / _GRID


def _round(value: float) -> float:
    return math.floor(value * _GRID + 0.5) / _GRID
