"""Which frames are good enough to stand for somebody who is away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engines.frames import Rect
from pipeline.camera.framing import EYES_IN_BOX, HEIGHT_PER_WIDTH, on_grid
from pipeline.camera.tile_view import rect_state
from pipeline.camera.visibility import contains_centre, holds_whole, touches
from pipeline.people import Source

BEST = 3  # quality of a frame without a fault

_SURE: tuple[Source, ...] = ("detected", "reidentified")
_STALE_S = 5.0  # age from which a worse freeze frame replaces an old one
_MIDDLE = 0.15  # of the crop's width: largest distance of a well-framed face from the middle
_WORTH = 0.95  # of the crop's width: a crop that is hardly closer is not worth it
_CLEARANCE = 0.05  # of the crop's width around the other person's centre


@dataclass(frozen=True, slots=True)
class FreezeFrame:
    """A frame that a frozen tile may repeat.

    Attributes:
        time: seconds on the camera's clock.
        crop: what the tile showed of it.
        face: box of the person.
        narrowest: smallest width of a crop that the frame is sharp enough for, pixels.
        quality: as ``still_quality`` returns it.
    """

    pts: int
    time: float
    person: int
    crop: Rect
    face: Rect
    narrowest: float
    quality: int

    def is_replaced_by(self, new: FreezeFrame) -> bool:
        """Return whether a later frame is the better one, or the only one that is not too old."""
        if new.person != self.person or new.quality >= self.quality:
            return True
        return new.quality > 0 and new.time - self.time > _STALE_S

    def closer(self, share: float) -> Rect:
        """Return a crop in which the face has this share of the height, as far as the frame is sharp enough.

        It is never wider than ``crop``, and the eyes are where they are there. A crop that is extended stays.
        """
        width = max(self.face.h / share / HEIGHT_PER_WIDTH, self.narrowest)
        if width > _WORTH * self.crop.w or self.crop.h != self.crop.w * HEIGHT_PER_WIDTH:
            return self.crop
        width = on_grid(width)
        scale = width / self.crop.w
        eyes = self.face.y + EYES_IN_BOX * self.face.h
        height = width * HEIGHT_PER_WIDTH
        x = on_grid(self.face.cx - (self.face.cx - self.crop.x) * scale)
        y = on_grid(eyes - (eyes - self.crop.y) * scale)
        # Of a face at the edge of the picture, the middle may be outside of the crop.
        x = min(max(x, self.crop.x), self.crop.x + self.crop.w - width)
        y = min(max(y, self.crop.y), self.crop.y + self.crop.h - height)
        return Rect(x, y, width, height)

    def state(self) -> list[Any]:
        crop, face = rect_state(self.crop), rect_state(self.face)
        return [self.pts, self.time, self.person, crop, face, self.narrowest, self.quality]

    @classmethod
    def restored(cls, state: list[Any]) -> FreezeFrame:
        pts, time, person, crop, face, narrowest, quality = state
        return cls(pts, time, person, Rect(*crop), Rect(*face), narrowest, quality)


def still_quality(crop: Rect, face: Rect, other: Rect | None, *, inside: bool, source: Source) -> int:
    """Return how well a crop shows its person, from 0 to ``BEST``.

    It is 0 where no face is seen, where it is cut off, or where the other person is in the crop. Each fault costs 1:
    the other person at the edge, a face that is off the middle or only partly in the picture, and a face that is
    interpolated, not detected.

    Args:
        face: box of the tile's person.
        other: box of the other person.
        inside: whether the crop holds all of the face that the frame shows.
        source: of the tile.
    """
    if source == "head" or not inside or (other is not None and contains_centre(crop, other, _CLEARANCE)):
        return 0
    return BEST - (other is not None and touches(crop, other)) - (not frames_well(crop, face)) - (source not in _SURE)


def frames_well(crop: Rect, face: Rect) -> bool:
    """Return whether a crop holds a whole face near its middle."""
    return holds_whole(crop, face) and abs(face.cx - crop.cx) <= _MIDDLE * crop.w
