"""Where a crop of another shape than its tile lies in the tile; the rest of the tile is its blurred extension."""

from __future__ import annotations

from engines.frames import Rect
from pipeline.camera.framing import HEIGHT_PER_WIDTH

_SHAPE = 0.01  # relative difference up to which a crop has the shape of its tile
_ABOVE = 1 / 3  # of an extension's height: so the eyes are on the upper third


def picture_in_tile(crop: Rect, height_per_width: float = HEIGHT_PER_WIDTH) -> Rect | None:
    """Return the part of the tile that a crop fills, in parts of the tile; None: all of it.

    Args:
        crop: in pixels of the displayed frame.
        height_per_width: of the tile; one that fills the output is twice as wide as the others.
    """
    shape = crop.w * height_per_width / crop.h
    if shape > 1 + _SHAPE:
        return Rect(0.0, _ABOVE * (1 - 1 / shape), 1.0, 1 / shape)
    if shape < 1 - _SHAPE:
        return Rect((1 - shape) / 2, 0.0, shape, 1.0)
    return None
