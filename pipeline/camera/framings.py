"""Framing and path planner for each size of frame and each panel."""

from __future__ import annotations

from engines.frames import Rect, Size
from pipeline.camera.camera_path import PathPlanner
from pipeline.camera.framing import Framing
from pipeline.settings import CameraSettings

_MOST = 64  # sizes and panels that are remembered


class Framings:
    """Framing and path planner for each size of frame and panel; ``usual`` is the size of scenes that name none."""

    def __init__(self, settings: CameraSettings, usual: Size) -> None:
        self._settings = settings
        self.usual = usual
        self._known: dict[tuple[Size, Rect | None], tuple[Framing, PathPlanner]] = {}

    def of(self, frame: Size | None, panel: Rect | None = None) -> tuple[Framing, PathPlanner]:
        size = frame or self.usual
        if (size, panel) not in self._known:
            while len(self._known) >= _MOST:
                del self._known[next(iter(self._known))]
            framing = Framing(self._settings, *size, panel)
            self._known[size, panel] = framing, PathPlanner(self._settings, framing)
        return self._known[size, panel]
