"""The stage that analyses frames and cuts them into chunks at segment boundaries."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from engines.frames import FrameBatch
from pipeline.people import Row
from pipeline.rendering.analysis import Analysis, Planned
from pipeline.rendering.frame_skip import FrameSkipper
from pipeline.rendering.stream import StreamJob
from pipeline.segments.checkpoint import Boundary
from pipeline.segments.segment import SegmentGrid


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Consecutive frames of one segment, or the segment's end, which has no frames and a ``boundary``."""

    segment: int
    planned: list[Planned]
    boundary: Boundary | None = None

    def __len__(self) -> int:
        return len(self.planned)

    @property
    def pts(self) -> list[int]:
        return [planned.row.pts for planned in self.planned]


class AnalyseStage:
    """Leaves frames out by the level of degradation, and analyses the others."""

    def __init__(self, job: StreamJob, analysis: Analysis, grid: SegmentGrid) -> None:
        self._analysis = analysis
        self._grid = grid
        self._stats = job.telemetry.stats_collector
        self._frame_skipper = FrameSkipper(
            job.workload.frame_step,
            analysed_pts=job.checkpoint.analysis.get("analysed_pts"),
            skipped=job.checkpoint.skipped,
        )

    def run(self, batches: Iterable[FrameBatch]) -> Iterator[Chunk]:
        segment: int | None = None
        for planned in self._all_planned(batches):
            rest = planned
            while rest:
                index = self._grid.index(rest[0].row.pts)
                if segment is not None and index != segment:
                    yield Chunk(segment, [], self._boundary([p.row for p in rest]))
                segment = index
                is_whole = self._grid.index(rest[-1].row.pts) == index
                head = rest if is_whole else [p for p in rest if self._grid.index(p.row.pts) == index]
                yield Chunk(index, head)
                rest = rest[len(head) :]
        if segment is not None:
            yield Chunk(segment, [], self._boundary([]))

    def _all_planned(self, batches: Iterable[FrameBatch]) -> Iterator[list[Planned]]:
        for batch in self._frame_skipper.thin(batches):
            begin = time.perf_counter()
            planned = self._analysis.push(batch)
            self._stats.add_frame_time([frame.pts for frame in batch.frames], time.perf_counter() - begin)
            yield planned
        yield self._analysis.finish()

    def _boundary(self, undelivered: list[Row]) -> Boundary:
        next_pts = undelivered[0].pts if undelivered else None
        skipped = self._frame_skipper.count_skipped(next_pts)
        return Boundary(next_pts, self._analysis.state(undelivered), skipped, self._frame_skipper.skipped)
