"""Parts of frames, cut out without copying, for a closer look."""

from __future__ import annotations

from dataclasses import dataclass, replace

from engines.frames import Frame, Rect, Size

_LEAST = 16  # pixels: width and height of the smallest part


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """A part of a frame.

    Attributes:
        frame: the part; its planes are views, its ``display`` is the part's displayed size.
        place: where it lies, in pixels of the displayed frame.
    """

    frame: Frame
    place: Rect

    @classmethod
    def of(cls, frame: Frame, box: Rect, shown: Size) -> Region:
        """Cut a box out of a frame, as far as it lies inside; its borders go to the nearest even pixels.

        Args:
            box: in pixels of the displayed frame.
            shown: size of the displayed frame.
        """
        across, down = shown[0] / frame.width, shown[1] / frame.height
        x0, x1 = _even_span(box.x / across, (box.x + box.w) / across, frame.width)
        y0, y1 = _even_span(box.y / down, (box.y + box.h) / down, frame.height)
        place = Rect(x0 * across, y0 * down, (x1 - x0) * across, (y1 - y0) * down)
        size = max(1, round(place.w)), max(1, round(place.h))
        uv = frame.uv[y0 // 2 : (y1 + 1) // 2, x0 // 2 : (x1 + 1) // 2]
        return cls(replace(frame, y=frame.y[y0:y1, x0:x1], uv=uv, display=size), place)


def _even_span(first: float, last: float, limit: int) -> tuple[int, int]:
    """Return the nearest even span inside 0..limit, ``_LEAST`` long or longer where the limit allows."""
    limit = limit // 2 * 2
    low = min(max(0, 2 * round(first / 2)), max(0, limit - _LEAST))
    return low, min(limit, max(2 * round(last / 2), low + _LEAST))
