"""The stage that draws the output frames of each chunk."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from engines.frames import Frame
from pipeline.people import Row
from pipeline.rendering.analyse_stage import Chunk
from pipeline.rendering.stream import StreamJob
from pipeline.rendering.tile_renderer import TileRenderer
from pipeline.segments.checkpoint import Boundary


@dataclass(frozen=True, slots=True, eq=False)
class ComposedChunk:
    """A chunk whose frames are composed. It no longer holds the source's frames, which are large.

    Attributes:
        rows: the rows as they were decided.
        shown: the same as they are laid out, after the user's corrections.
        replaced: when frames that stand in for undecodable ones are shown, as (from, to) in pts.
    """

    segment: int
    rows: list[Row]
    shown: list[Row]
    images: list[Frame]
    replaced: list[tuple[int, int]]
    boundary: Boundary | None

    def __len__(self) -> int:
        return len(self.images)

    @property
    def pts(self) -> list[int]:
        return [row.pts for row in self.rows]


class ComposeStage:
    """Lays rows out, corrects them and draws their tiles."""

    def __init__(self, job: StreamJob, tile_renderer: TileRenderer) -> None:
        self._job = job
        self._tile_renderer = tile_renderer

    def run(self, chunks: Iterable[Chunk]) -> Iterator[ComposedChunk]:
        telemetry = self._job.telemetry
        for chunk in chunks:
            begin = time.perf_counter()
            shown = [self._job.shown(planned.row) for planned in chunk.planned]
            images = self._tile_renderer.render_all([planned.frame for planned in chunk.planned], shown)
            seconds = time.perf_counter() - begin
            telemetry.add("compose", seconds, len(images))
            telemetry.stats_collector.add_frame_time(chunk.pts, seconds)
            frames = [planned.frame for planned in chunk.planned if planned.frame.replaced]
            replaced = [(frame.pts, frame.pts + frame.duration) for frame in frames]
            rows = [planned.row for planned in chunk.planned]
            yield ComposedChunk(chunk.segment, rows, shown, images, replaced, chunk.boundary)
