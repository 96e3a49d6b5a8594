"""Draws a row into one output frame: its two tiles side by side, or one person full frame."""

from __future__ import annotations

from collections.abc import Sequence

from engines.frames import Frame, Rect, Size
from engines.protocols import Composition, Compositor, TileSource
from pipeline.camera.extension import picture_in_tile
from pipeline.camera.framing import HEIGHT_PER_WIDTH
from pipeline.people import Row, Side, Tile
from pipeline.rendering.frame_cache import FrameCache


class TileRenderer:
    """Draws rows with a compositor. Crops are in displayed pixels; they are scaled to working frames here.

    Args:
        freeze_frames: holds the frames that frozen tiles show.
        display: displayed size of frames that do not have their own.
    """

    def __init__(self, compositor: Compositor, freeze_frames: FrameCache, *, display: Size) -> None:
        self._compositor = compositor
        self._freeze_frames = freeze_frames
        self._display = display

    def render(self, frame: Frame, row: Row) -> Frame:
        """Return the output frame for a source frame and the row that says what is shown of it."""
        return self.render_all([frame], [row])[0]

    def render_all(self, frames: Sequence[Frame], rows: Sequence[Row]) -> list[Frame]:
        """Return the output frames for several source frames, in order."""
        planned = [self._composition(frame, row) for frame, row in zip(frames, rows, strict=True)]
        return self._compositor.compose_batch(planned)

    def _composition(self, frame: Frame, row: Row) -> Composition:
        if row.full is not None:
            picture = picture_in_tile(row.full, HEIGHT_PER_WIDTH / 2)
            whole = TileSource(frame, self._surface_rect(row.full, frame), picture)
            return Composition(whole, None, frame.pts, frame.duration)
        left = self._source("left", row.left, frame)
        right = self._source("right", row.right, frame)
        self._freeze_frames.add(frame)
        return Composition(left, right, frame.pts, frame.duration)

    def _source(self, side: Side, tile: Tile, frame: Frame) -> TileSource:
        if tile.source == "placeholder":
            return TileSource(frame, None)
        if tile.still_pts is not None:
            frame = self._freeze_frames.freeze_frame(side, tile.still_pts)
        else:
            self._freeze_frames.release(side)
        return TileSource(frame, self._surface_rect(tile.crop, frame), picture_in_tile(tile.crop))

    def _surface_rect(self, crop: Rect, frame: Frame) -> Rect:
        width, height = frame.display or self._display
        return crop.scaled(frame.width / width, frame.height / height)
