"""Keeps rendered source frames that frozen tiles go on showing."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from engines.frames import Frame
from pipeline.people import Side


class FrameCache:
    """Keeps the last few rendered frames, and for each side the frame on which its tile is frozen.

    An older frame is decoded again, after a resume for example, so no frame needs to be in the checkpoint.

    Args:
        decode: decodes the frame with a pts again.
        recent: number of frames that are kept.
    """

    def __init__(self, decode: Callable[[int], Frame], *, recent: int) -> None:
        self._decode = decode
        self._recent_count = recent
        self._recent: OrderedDict[int, Frame] = OrderedDict()
        self._frozen: dict[Side, Frame] = {}

    def add(self, frame: Frame) -> None:
        self._recent[frame.pts] = frame
        if len(self._recent) > self._recent_count:
            self._recent.popitem(last=False)

    def freeze_frame(self, side: Side, pts: int) -> Frame:
        """Return the frame with this pts, and keep it for the side."""
        frame = self._frozen.get(side)
        if frame is None or frame.pts != pts:
            frame = self._recent.get(pts) or self._decode(pts)
            self._frozen[side] = frame
        return frame

    def release(self, side: Side) -> None:
        """Drop the frame that is kept for a side: its tile is no longer frozen."""
        self._frozen.pop(side, None)
