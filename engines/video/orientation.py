"""The orientation of a frame: the display matrix of ISO/IEC 14496-12, 8.3.2, reduced to eight orientations."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

from av.sidedata.sidedata import SideData, Type
from av.video.frame import VideoFrame

from engines.frames import Size


@dataclass(frozen=True, slots=True)
class Orientation:
    """How a stored frame becomes upright: rotated clockwise, then mirrored left to right."""

    clockwise_deg: int = 0
    mirrored: bool = False

    @property
    def swaps_sides(self) -> bool:
        return self.clockwise_deg in (90, 270)

    def filters(self) -> list[tuple[str, str]]:
        """Return libavfilter's (name, arguments) in order; empty for an upright frame."""
        turn = {
            0: [],
            90: [("transpose", "clock")],
            180: [("hflip", ""), ("vflip", "")],
            270: [("transpose", "cclock")],
        }[self.clockwise_deg]
        return [*turn, *([("hflip", "")] if self.mirrored else [])]


def _from_matrix(matrix: bytes) -> Orientation:
    """Return the orientation of a matrix of nine 32-bit numbers (a b u, c d v, x y w); a slanted one counts as upright.

    A stored point (x, y) is shown at (a x + c y, b x + d y), y downwards.
    """
    if len(matrix) < 36:
        return Orientation()
    a, b, _, c, d, *_ = struct.unpack("=9i", matrix[:36])
    if b == c == 0 and a and d:
        return Orientation(0 if d > 0 else 180, mirrored=(a > 0) != (d > 0))
    if a == d == 0 and b and c:
        return Orientation(90 if b > 0 else 270, mirrored=(b > 0) == (c > 0))
    return Orientation()


def frame_orientation(frame: VideoFrame) -> Orientation | None:
    """Return the orientation in a frame's side data; None if it has none.

    The container's orientation comes with every frame, the codec's (H.264, HEVC) perhaps only with keyframes.
    """
    matrices = [bytes(item) for item in cast(Iterable[SideData], frame.side_data) if item.type == Type.DISPLAYMATRIX]
    return _from_matrix(matrices[0]) if matrices else None


def displayed_size(width: int, height: int, aspect: Fraction, orientation: Orientation) -> Size:
    """Return the upright size of a stored frame in square pixels; the stored height stays."""
    shown = (max(1, round(width * aspect)), height)
    return (shown[1], shown[0]) if orientation.swaps_sides else shown
