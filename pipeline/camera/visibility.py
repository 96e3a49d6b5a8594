"""What a crop shows of a face."""

from __future__ import annotations

from engines.frames import Rect

_SLIVER = 0.05  # of a face's width that may be outside of its crop


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


def holds_whole(crop: Rect, face: Rect) -> bool:
    """Return whether the crop holds the whole box of the face, also what the frame does not show of it."""
    across = crop.x <= face.x and face.x + face.w <= crop.x + crop.w
    return across and crop.y <= face.y and face.y + face.h <= crop.y + crop.h
