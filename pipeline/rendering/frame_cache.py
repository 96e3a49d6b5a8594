"""Stills: frames already rendered that a frozen tile goes on showing."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from engines.frames import Frame
from pipeline.people import Side


class StillStore:
    """Keeps the last few rendered frames, and for each side the frame that its tile is frozen on.

    A still that is older than that (after a resume, or when a freeze reaches far back) is decoded again, so nothing
    of it needs to be in the checkpoint.
    """

    def __init__(self, fetch: Callable[[int], Frame], *, recent: int) -> None:
        self._fetch = fetch
        self._recent_count = recent
        self._recent: OrderedDict[int, Frame] = OrderedDict()
        self._frozen: dict[Side, Frame] = {}

    def remember(self, frame: Frame) -> None:
        self._recent[frame.pts] = frame
        if len(self._recent) > self._recent_count:
            self._recent.popitem(last=False)

    def still(self, side: Side, pts: int) -> Frame:
        """The frame with this pts, decoded again if it is gone."""
        frame = self._frozen.get(side)
        if frame is None or frame.pts != pts:
            frame = self._recent.get(pts) or self._fetch(pts)
            self._frozen[side] = frame
        return frame

    def thaw(self, side: Side) -> None:
        self._frozen.pop(side, None)
