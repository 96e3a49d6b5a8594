"""Framing and path planner for each size of frame and each panel."""

from __future__ import annotations

from collections.abc import Sequence

from engines.frames import Rect, Size
from pipeline.camera.camera_path import PathPlanner
from pipeline.camera.framing import FILLS, Framing
from pipeline.panels.panel_detector import is_picture
from pipeline.people import Side
from pipeline.settings import CameraSettings

_MOST = 64  # sizes and panels that are remembered


class Framings:
    """Framing and path planner for each size of frame and panel; ``usual`` is the size of scenes that name none.

    Args:
        fills: as for ``Framing``.
    """

    def __init__(self, settings: CameraSettings, usual: Size, *, fills: float = FILLS) -> None:
        self._settings = settings
        self._fills = fills
        self.usual = usual
        self._known: dict[tuple[Size, Rect | None], tuple[Framing, PathPlanner]] = {}

    def of(self, frame: Size | None, panel: Rect | None = None) -> tuple[Framing, PathPlanner]:
        size = frame or self.usual
        known = self._known.get((size, panel))
        if known is None:
            while len(self._known) >= _MOST:
                del self._known[next(iter(self._known))]
            framing = Framing(self._settings, *size, panel, fills=self._fills)
            known = self._known[size, panel] = framing, PathPlanner(self._settings, framing)
        return known

    def panel_crops(self, frame: Size | None, panels: Sequence[Rect], side: Side) -> list[Rect]:
        """Return the largest crop in the centre of each panel, those of the tile's own side first."""
        if is_picture(panels, *(frame or self.usual)):
            return []
        by_side = sorted(panels, key=lambda p: p.cx, reverse=side == "right")
        framings = [self.of(frame, panel)[0] for panel in by_side]
        return [framing.crop(framing.area.cx, framing.area.cy, framing.widest) for framing in framings]
