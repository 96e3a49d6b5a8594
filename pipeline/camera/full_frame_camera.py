"""The camera that shows one person over the whole output, as long as nobody else has been seen.

A crop of 16:9 is that of a tile, 8:9, in a frame of half its width. So the camera of a tile does the work, on scenes
that are squeezed to half their width. It never freezes: a still of the only person would stop the whole video.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from engines.frames import Rect, Size
from pipeline.camera.framings import Framings
from pipeline.camera.tile_camera import TileCamera
from pipeline.camera.tile_view import View
from pipeline.people import Scene, Seen, Tile
from pipeline.settings import CameraSettings

_FACE_SHARE = 0.7  # of a face's share of a tile: a person alone has more room around them
_FILLS = 0.95  # of the picture's height: only a face that does not fit is worth an edge in the picture
_SQUEEZE = 0.5


class FullFrameCamera:
    """Frames the only person of the scenes, or all of the picture while there is none."""

    def __init__(self, settings: CameraSettings, usual: Size, *, bridge_s: float) -> None:
        wide = settings.model_copy(update={"face_share": settings.face_share * _FACE_SHARE})
        framings = Framings(wide, _squeezed_size(usual), fills=_FILLS)
        self._view = View("left")
        self._camera = _SqueezedCamera("left", wide, framings, hold_s=math.inf, bridge_s=bridge_s)

    def append(self, scene: Scene, time: float) -> None:
        """Add the next frame; ``time`` is in seconds on the camera's clock."""
        self._view.append(_squeezed_scene(scene), time)

    def advance(self, commit: int) -> list[Rect | None]:
        """Return the crops of the first ``commit`` frames, 16:9, and drop these frames; the others shape the plan."""
        tiles = self._camera.advance(self._view, commit)
        self._view.drop(commit)
        return [tile.crop.scaled(1 / _SQUEEZE, 1.0) for tile in tiles]

    def state(self) -> dict[str, Any]:
        return self._camera.state()

    def restore(self, state: dict[str, Any]) -> None:
        self._camera.restore(state)


class _SqueezedCamera(TileCamera):
    """A tile's camera that shows all of the picture in a shot in which its person has not been seen."""

    def _wait_unseen(self, view: View, i: int, j: int) -> list[Tile]:
        area, widest = self._framing.area, self._framing.widest
        crop = self._framing.crop(area.cx, area.cy, widest)
        self._path, self._resting_elsewhere = self._planner.at_rest(view.seconds[i], crop), True
        return [Tile(None, None, crop, "held") for _ in range(i, j)]


def _squeezed_scene(scene: Scene) -> Scene:
    frame = None if scene.frame is None else _squeezed_size(scene.frame)
    panels = tuple(panel.scaled(_SQUEEZE, 1.0) for panel in scene.panels)
    person = _squeezed_person(scene.left if scene.left and scene.left.box else scene.right or scene.left)
    return replace(scene, left=person, right=None, others=(), frame=frame, panels=panels)


def _squeezed_person(seen: Seen | None) -> Seen | None:
    return seen and replace(seen, box=seen.box and seen.box.scaled(_SQUEEZE, 1.0))


def _squeezed_size(size: Size) -> Size:
    return int(size[0] * _SQUEEZE), size[1]
