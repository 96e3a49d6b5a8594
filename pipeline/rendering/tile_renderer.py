"""Composition: planned frames in, 1920x1080 split-screen frames out."""

from __future__ import annotations

from collections.abc import Sequence

from engines.frames import Frame, Rect, Size
from engines.protocols import Composition, Compositor, TileSource
from pipeline.people import Row, Side, Tile
from pipeline.rendering.frame_cache import StillStore


class TilePainter:
    """Draws the two tiles of a row. Crops come in displayed pixels and are mapped to the surface's pixels here.

    ``display`` is the displayed size of frames that name none.
    """

    def __init__(self, compositor: Compositor, freeze_frames: StillStore, *, display: Size) -> None:
        self._compositor = compositor
        self._freeze_frames = freeze_frames
        self._display = display

    def paint(self, frame: Frame, row: Row) -> Frame:
        """The output frame for a source frame and what is to be shown of it."""
        return self.paint_all([frame], [row])[0]

    def paint_all(self, frames: Sequence[Frame], rows: Sequence[Row]) -> list[Frame]:
        """The output frames for several source frames, in order."""
        planned = [self._composition(frame, row) for frame, row in zip(frames, rows, strict=True)]
        return self._compositor.compose_batch(planned)

    def _composition(self, frame: Frame, row: Row) -> Composition:
        left = self._source("left", row.left, frame)
        right = self._source("right", row.right, frame)
        self._freeze_frames.remember(frame)
        return Composition(left, right, frame.pts, frame.duration)

    def _source(self, side: Side, tile: Tile, frame: Frame) -> TileSource:
        if tile.source == "placeholder":
            return TileSource(frame, None)
        if tile.still_pts is not None:
            frame = self._freeze_frames.still(side, tile.still_pts)
        else:
            self._freeze_frames.thaw(side)
        return TileSource(frame, self._surface_rect(tile.crop, frame))

    def _surface_rect(self, crop: Rect, frame: Frame) -> Rect:
        width, height = frame.display or self._display
        return crop.scaled(frame.width / width, frame.height / height)
