"""Renewal: finished segments that corrections have changed are rendered again, the others stay."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from engines.frames import Frame, FrameBatch
from engines.protocols import Decoder, Encoder
from pipeline.errors import JobStopped
from pipeline.job import StopCheck
from pipeline.people import Row
from pipeline.rendering.stage import Stage
from pipeline.rendering.tile_renderer import TilePainter
from pipeline.segments import segment as segments
from pipeline.segments.checkpoint import Checkpoint
from pipeline.segments.segment import SegmentRecord, SegmentWriter
from pipeline.telemetry.counters import StatsCollector

_DEPTH = 16
_BATCH = 4


def stored_rows(work_dir: Path, checkpoint: Checkpoint) -> Iterator[Row]:
    """Yield the rows of the finished segments as they were decided, before any correction."""
    for record in checkpoint.segments:
        yield from segments.read_rows(work_dir / "segments", record)


@dataclass(frozen=True, slots=True)
class Renewal:
    """What it takes to render a finished segment again."""

    work_dir: Path
    checkpoint: Checkpoint
    correct: Callable[[Row], Row]
    open_decoder: Callable[[], Decoder]
    batches: Callable[[Decoder, int, int], Iterator[FrameBatch]]
    new_painter: Callable[[], TilePainter]
    new_encoder: Callable[[], Encoder]
    on_frames: Callable[[int, float], None]
    should_stop: StopCheck
    stats_collector: StatsCollector

    def run(self) -> int:
        """Render each segment again that does not show what it should; returns how many.

        Raises:
            JobStopped: asked to stop; what is done so far is kept.
            ExplainedError: whatever decoding, composing or encoding raised.
        """
        renewed, first_frame = 0, 0
        for position, record in enumerate(self.checkpoint.segments):
            rows = segments.read_rows(self._directory, record)
            if segments.plan_of(map(self.correct, rows), first_frame) != record.plan:
                self._renew(position, record, rows, first_frame)
                renewed += 1
            first_frame += record.frames
        return renewed

    @property
    def _directory(self) -> Path:
        return self.work_dir / "segments"

    def _renew(self, position: int, record: SegmentRecord, rows: list[Row], first_frame: int) -> None:
        if self.should_stop():
            raise JobStopped("the job was asked to stop while it was corrected")
        with (
            SegmentWriter(self._directory, record.index, first_frame) as writer,
            closing(self.open_decoder()) as decoder,
        ):
            encoder = self.new_encoder()
            with closing(Stage("compose", self._frames(decoder, record, rows), _DEPTH)) as frames:
                for row, shown, frame in frames:
                    writer.add_row(row, shown, frame.duration)
                    writer.add_packets(encoder.encode(frame))
            writer.add_packets(encoder.flush())
            renewed = replace(
                writer.finish(), level=record.level, reason=record.reason, skipped=record.skipped, lost=record.lost
            )
            self.checkpoint.segments[position] = renewed
        self.stats_collector.written(frames=renewed.frames, output_bytes=renewed.bytes)
        self.checkpoint.save(self.work_dir)
        segments.remove(self._directory, record)
        self.on_frames(first_frame + record.frames, rows[-1].t)

    def _frames(self, decoder: Decoder, record: SegmentRecord, rows: list[Row]) -> Iterator[tuple[Row, Row, Frame]]:
        painter = self.new_painter()
        frames = (frame for batch in self.batches(decoder, record.first_pts, _BATCH) for frame in batch.frames)
        ends = [*(row.pts for row in rows[1:]), record.last_pts + record.last_duration]
        for row, end in zip(rows, ends, strict=True):
            frame = next(frame for frame in frames if frame.pts == row.pts)  # some may have been left out
            shown = self.correct(row)
            yield row, shown, painter.paint(replace(frame, duration=end - row.pts), shown)
