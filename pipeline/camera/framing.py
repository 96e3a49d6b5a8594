"""Geometry of a good crop of one face, and of the crops that a frame allows."""

from __future__ import annotations

import math
from functools import partial
from typing import TypeVar

import numpy as np

from engines.frames import Rect
from pipeline.camera.bands import Array, Band, CropConstraints, clipped, median_of
from pipeline.camera.neighbour import SEPARATIONS, STEADY, STILL, Neighbour, Pair, Separation
from pipeline.people import Side
from pipeline.settings import CameraSettings

T = TypeVar("T", float, Array)

TILE_HEIGHT = 1080
HEIGHT_PER_WIDTH = 1.125  # tiles are 960x1080
EYES_IN_BOX = 0.42  # height of the eyes in a face's box, from its top
_OWN_SHARE = 0.35  # of the distance to the other face: largest distance of the crop's centre from its own face
_OWN_SHARE_BOTH = 0.45  # ... at the edge of the frame, where the crop must hold both faces
LEAST_ZOOM = 1.5  # times the scale of the largest crop: every frame and panel may be enlarged so much
_OUTSIDE = 0.05  # pixels by which a crop may reach out of its area
_CLOSEST = 0.45  # of the crop's height: the largest face where a neighbour is to be kept out
FILLS = 0.62  # of the largest crop's height: a larger face needs an extension
_EXTENDED = 0.5  # of the tile's height: the usual face in an extended tile
_WORTH = 1.1  # of the largest crop's width, or wider: what an extension must show
_TOUCHING, _CLOSEST_TOUCHING = 0.5, 0.56  # ... where two faces touch: the usual and the largest face
_LEVEL = 1.08  # largest ratio of the two faces' shares of their tiles, where the frame allows it
_FAR_SHARE = 0.65  # of the usual share: a face is made no smaller to match a far one
_LEAD = 0.06  # of the crop's width: room in front of a head in profile
_LOOKS_AHEAD = 0.3  # a gaze nearer to the camera gets no such room
_NEAR = 1.4  # of the usual width: a crop that would hold the neighbour if it were so wide stays narrow
_DECIDED = 1.1  # a way to treat the neighbour stays until a crop would have to be narrower by this factor
_GRID = 64  # steps per pixel of a crop, so that edges add up exactly


class Framing:
    """Crops of frames of one size, or of one panel in them.

    Args:
        fills: share of the largest crop's height from which a face needs an extension.

    Attributes:
        width, height: of the displayed frame, pixels.
        area: the frame, or the panel in which crops belong.
        widest: largest width of a crop, pixels.
        narrowest: width of a crop at the limit of enlargement, pixels (see ``narrowest_crop``).
        extended: width of the crop that holds all of the area; of what is wider than ``widest``, only the part in the
            area is shown, with an extension around it.
    """

    def __init__(
        self, settings: CameraSettings, width: int, height: int, panel: Rect | None = None, *, fills: float = FILLS
    ) -> None:
        self._settings = settings
        self._fills = fills
        self.width, self.height = width, height
        self.frame = Rect(0.0, 0.0, float(width), float(height))
        self.area = panel or self.frame
        self.widest, self._widest_in_frame = widest_crop(self.area), widest_crop(self.frame)
        self.extended = max(self.area.w, self.area.h / HEIGHT_PER_WIDTH)
        self.narrowest = narrowest_crop(self.widest, settings.upscale_max)

    def crop(self, cx: float, cy: float, width: float, *, extends: bool = False) -> Rect:
        """Return the crop with this centre and width, moved and shrunk as little as needed to lie inside the frame.

        Args:
            extends: a crop that is too wide for the area ends where the area does, in another shape than the tile.
        """
        if extends and width > self.widest:
            area, w = self.area, min(on_grid(width), self.area.w)
            h = min(on_grid(width) * HEIGHT_PER_WIDTH, area.h)
            return Rect(_moved(cx - w / 2, area.x, area.w - w), _moved(cy - h / 2, area.y, area.h - h), w, h)
        w = min(on_grid(width), self._widest_in_frame)
        h = w * HEIGHT_PER_WIDTH
        x = min(max(on_grid(cx - w / 2), 0.0), _floor(self.width - w))
        y = min(max(on_grid(cy - h / 2), 0.0), _floor(self.height - h))
        return Rect(x, y, w, h)

    def centred_split(self, side: Side) -> Rect:
        """Return the largest crop in the centre of one half of the area."""
        area = self.area
        width = min(area.w / 2, self.widest)
        cx = area.x + area.w * (0.25 if side == "left" else 0.75)
        return self.crop(cx, area.cy, width)

    def bounds(self, fixed: Array) -> Rect:
        """Return where crops may be after these control points, (M, 3): in the area, unless they are outside of it."""
        area = self.area
        for width, cx, cy in fixed.tolist():
            half_w, half_h = min(width * 0.5, area.w / 2), min(width * (HEIGHT_PER_WIDTH / 2), area.h / 2)
            across = area.x - _OUTSIDE <= cx - half_w and cx + half_w <= area.x + area.w + _OUTSIDE
            if not (across and area.y - _OUTSIDE <= cy - half_h and cy + half_h <= area.y + area.h + _OUTSIDE):
                return self.frame
        return area

    def shares(self, height: T) -> tuple[T, T]:
        """Return the smallest and largest share of the tile's height that a face of this height can have."""
        return height / HEIGHT_PER_WIDTH / self.widest, height / HEIGHT_PER_WIDTH / self.narrowest

    def extends(self, faces: Array, before: bool) -> bool:
        """Return whether faces are too large for the crops that the area allows.

        Args:
            before: what was decided before.
        """
        if not len(faces):
            return before
        share = median_of(faces[:, 3]) / HEIGHT_PER_WIDTH / self.widest
        fills = self._fills / _DECIDED if before else self._fills
        return share > fills and self.extended >= _WORTH * self.widest

    def neighbour(self, pair: Pair, before: Separation | None, *, may_touch: bool = True) -> Neighbour | None:
        """Return the neighbour's head, and so how crops are to treat it; None where it does not matter.

        Args:
            before: what was decided before.
            may_touch: whether the answer may be "touching".
        """
        if not len(pair.faces):
            return None if before is None else self._neighbour(pair, before)
        nearest = self._neighbour(pair, "touching")
        change = nearest.change(pair.faces)
        if not nearest.is_known.any() or change > STEADY:
            return None
        apart = self._neighbour(pair, "apart")
        for beside in (apart, nearest) if may_touch and (before == "touching" or change <= STILL) else (apart,):
            ratios = (beside.widest_without() / self._tightest(pair.faces, beside.separation))[beside.is_known]
            if len(ratios) and median_of(ratios) >= _needed(beside.separation, before):
                return beside
        return self._neighbour(pair, "together") if apart.is_known.any() else None

    def _neighbour(self, pair: Pair, separation: Separation) -> Neighbour:
        """Return the neighbour's head where crops treat it so."""
        return Neighbour.of(pair, separation, self.area.x, self.area.x + self.area.w)

    def width_constraints(
        self, pair: Pair, partner: Array, neighbour: Neighbour | None, *, extends: bool = False
    ) -> CropConstraints:
        """Return the constraints of the crop's width.

        Args:
            partner: the smallest and largest share that the other person's face can have of its tile, (N, 2).
            neighbour: None where the other person's head does not matter.
            extends: as the method of this name says.
        """
        s, faces = self._settings, pair.faces
        separation = neighbour.separation if neighbour else None
        widest = self.extended if extends else self.widest
        least = face_room = self._least(faces, widest)
        together = separation == "together"
        beside = self._widest_beside(pair, _OWN_SHARE_BOTH if together else _OWN_SHARE, widest)
        most = clipped(beside, face_room, widest)
        usual = _EXTENDED if extends else max(s.face_share, _TOUCHING if separation == "touching" else 0.0)
        share = self._share(faces[:, 3], np.full_like(partner, np.nan) if together else partner, usual, widest)
        target = np.maximum(faces[:, 3] / share / HEIGHT_PER_WIDTH, self.narrowest)
        stays = np.full(len(faces), np.inf)  # a width from which the crop need not grow
        if neighbour is not None:
            if together:
                least = np.maximum(least, neighbour.narrowest_with(most))
            else:
                tightest, without = self._tightest(faces, neighbour.separation), neighbour.widest_without()
                most = np.minimum(most, np.maximum(without, tightest))
                stays = np.where(without < _NEAR * target, tightest, np.inf)
        target = clipped(target, least, most)

        def zone(part: float) -> Band:
            band = Band.around(target, target * s.zoom_tolerance * part)
            return Band(np.minimum(band.lo, stays), band.hi).clipped(least, most)

        return CropConstraints(
            want=target,
            near=partial(zone, s.settle),
            soft=zone(1.0),
            hard=Band(face_room, np.maximum(most, face_room)),
        )

    def _least(self, faces: Array, widest: float) -> Array:
        """Return the smallest width that holds the face with its margin, shape (N,)."""
        room = 1 + 2 * self._settings.face_margin
        least = np.maximum(faces[:, 2], faces[:, 3] / HEIGHT_PER_WIDTH) * room
        return np.minimum(least, widest)

    def _tightest(self, faces: Array, separation: Separation) -> Array:
        """Return the smallest width by which a neighbour may be kept out, shape (N,)."""
        largest = _CLOSEST_TOUCHING if separation == "touching" else _CLOSEST
        close = np.maximum(faces[:, 3] / largest / HEIGHT_PER_WIDTH, self.narrowest)
        usual = np.maximum(faces[:, 3] / self._settings.face_share / HEIGHT_PER_WIDTH, self.narrowest)
        return clipped(np.minimum(close, usual), self._least(faces, self.widest), self.widest)

    def _share(self, heights: Array, partner: Array, usual: float, widest: float) -> Array:
        """Return the face's share of its tile, shape (N,): the usual one, or one that both faces can have.

        A crop of both heads shows them in one size anyway; there ``partner`` is unknown.
        """
        mine = clipped(usual, heights / HEIGHT_PER_WIDTH / widest, heights / HEIGHT_PER_WIDTH / self.narrowest)
        theirs = clipped(usual, partner[:, 0], partner[:, 1])
        theirs = np.where(np.isnan(theirs), mine, theirs)
        level = clipped(mine, theirs / _LEVEL, theirs * _LEVEL)
        return clipped(level, np.minimum(mine, usual * _FAR_SHARE), np.maximum(mine, _CLOSEST))

    def _widest_beside(self, pair: Pair, towards: float, widest: float) -> Array:
        """Return the largest width at which the own face is nearest to the crop's centre, near the frame's edge."""
        own = pair.own
        to_edge = np.where(pair.other > own, own - self.area.x, self.area.x + self.area.w - own)
        return np.where(pair.alone, widest, 2 * (to_edge + towards * pair.apart))

    def x_constraints(self, pair: Pair, gaze: Array, widths: Array, neighbour: Neighbour | None) -> CropConstraints:
        """Return the constraints of the crop's centre in x, for crops of these widths, shape (N,).

        Args:
            neighbour: as in ``width_constraints``.
            gaze: where the person looks, (N,), -1 to 1; they get more room in front of them.
        """
        s, faces, own = self._settings, pair.faces, pair.own
        beside = np.where(pair.alone, np.inf, _OWN_SHARE * pair.apart)
        room = faces[:, 2] * (0.5 + s.face_margin)
        inside = np.maximum(widths / 2 - room, 0)
        zone = np.minimum(widths * s.dead_zone, beside)
        towards = np.minimum(inside, np.maximum(beside, zone))
        ahead = own + self._lead(gaze) * widths
        if neighbour is None:
            return self._position(ahead, Band.around(own, towards), zone, widths / 2, (self.area.x, self.area.w))
        apart = neighbour.separation != "together"
        if neighbour.separation == "touching":
            room = np.minimum(room, faces[:, 2] / 2)
        away = np.maximum(widths / 2 - room, 0) if apart else towards
        to_right = np.where(neighbour.side > 0, towards, away)
        to_left = np.where(neighbour.side > 0, away, towards)
        limits = neighbour.centres(widths, apart=apart)
        target = clipped(ahead, limits.lo, limits.hi)
        zone = zone if apart else np.minimum(zone, neighbour.slack)
        hard = Band(own - to_left, own + to_right)
        return self._position(target, hard, zone, widths / 2, (self.area.x, self.area.w), limits)

    def _lead(self, gaze: Array) -> float:
        """Return the lead room in parts of the crop's width for somebody who looks aside for a while."""
        look = median_of(gaze) if len(gaze) else 0.0
        return math.copysign(_LEAD, look) * min(max((abs(look) - _LOOKS_AHEAD) / (1 - _LOOKS_AHEAD), 0.0), 1.0)

    def y_constraints(self, faces: Array, widths: Array) -> CropConstraints:
        """Return the constraints of the crop's centre in y, for crops of these widths, shape (N,)."""
        s = self._settings
        heights = widths * HEIGHT_PER_WIDTH
        target = faces[:, 1] + faces[:, 3] * EYES_IN_BOX + heights * (0.5 - s.eye_line)
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
        target = clipped(target, hard.lo, hard.hi)

        def band(radius: Array) -> Band:
            around = Band.around(target, radius)
            return (around if limits is None else around.within(limits)).within(hard)

        return CropConstraints(target, lambda: band(zone * self._settings.settle), band(zone), hard)


def _needed(way: Separation, before: Separation | None) -> float:
    """Return how much room there must be to separate two heads, in parts of what suffices."""
    if before is None:
        return 1.0
    return 1 / _DECIDED if SEPARATIONS.index(before) <= SEPARATIONS.index(way) else _DECIDED


def widest_crop(area: Rect) -> float:
    """Return the largest width of a crop inside an area."""
    return _floor(min(area.w, area.h / HEIGHT_PER_WIDTH))


def narrowest_crop(widest: float, upscale_max: float) -> float:
    """Return the smallest width to which a crop is enlarged, pixels.

    The limit of enlargement is the larger of ``upscale_max`` and ``LEAST_ZOOM`` times the scale of the largest crop,
    which has the whole height of a wide source. Without the second part, sources of few lines would allow no close
    crop, and so no two faces of one size.

    Args:
        widest: width of the largest crop, pixels.
        upscale_max: output pixels per source pixel.
    """
    return min(TILE_HEIGHT / upscale_max / HEIGHT_PER_WIDTH, widest / LEAST_ZOOM)


def _floor(value: float) -> float:
    return math.floor(value * _GRID) / _GRID


def _moved(value: float, start: float, room: float) -> float:
    return min(max(on_grid(value), start), start + room)


def on_grid(value: float) -> float:
    """Return the nearest position of a crop's edge, pixels: edges on this grid add up exactly."""
    return math.floor(value * _GRID + 0.5) / _GRID
