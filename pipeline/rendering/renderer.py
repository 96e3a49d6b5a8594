"""Rendering: the stages from decoder to segment files, each in a thread of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from engines.files import make_folder
from engines.frames import Frame, FrameBatch
from engines.media import source_file as storage
from engines.media.survey import merged
from engines.protocols import Decoder, Encoder
from pipeline.degradation.controller import Degradation, LevelChanged
from pipeline.degradation.triggers import SegmentFacts
from pipeline.errors import JobStopped
from pipeline.job import StopCheck
from pipeline.people import Row
from pipeline.rendering.analysis import Analysis, Planned
from pipeline.rendering.frame_skip import FrameSkipper
from pipeline.rendering.stage import Stage
from pipeline.rendering.tile_renderer import TilePainter
from pipeline.report.thumbnails import ThumbnailStore
from pipeline.segments.checkpoint import Checkpoint
from pipeline.segments.segment import SegmentGrid, SegmentRecord, SegmentWriter
from pipeline.telemetry.timing import JobClock, StageTimer

_FRAME_BYTES = 6_250_000  # from here on fewer travel together


@dataclass(frozen=True, slots=True)
class Boundary:
    """The end of a segment: where a job that is killed later would resume, and the analysis as of there."""

    next_pts: int | None
    analysis: dict[str, Any]
    skipped: int  # frames of the segment that were left out
    skipped_ahead: list[int]  # pts of those behind the boundary


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Consecutive frames of one segment, or its end."""

    segment: int
    planned: list[Planned]
    boundary: Boundary | None = None

    def __len__(self) -> int:
        return len(self.planned)

    @property
    def pts(self) -> list[int]:
        return [planned.row.pts for planned in self.planned]


@dataclass(frozen=True, slots=True, eq=False)
class Painted:
    """A chunk whose frames are composed. It waits for the encoder without the source's frames, which are large.

    Attributes:
        rows: what was decided for each frame; shown: the same after the user's corrections.
        replaced: when those frames are shown, from pts to pts, that stand in for one that could not be decoded.
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


def batch_size(width: int, height: int, *, most: int) -> int:
    """Frames that travel together: fewer of large ones, so that memory stays bounded."""
    return max(1, min(most, most * _FRAME_BYTES // (width * height * 3 // 2)))


@dataclass(slots=True)
class Renderer:
    """Renders a stream into segments and keeps the checkpoint true.

    Attributes:
        batches: decoded frames from the checkpoint's next one on.
        correct: gives the row to be shown for one that was decided.
        new_encoder: makes a fresh encoder for a segment.
        on_frames: called after each chunk with the frames done so far and the time of the last one in seconds.
        should_stop: asked at each segment's end; true raises JobStopped after the checkpoint is written, an error
            of its own goes through before anything is.
        degradation: hears of each segment; where the level changes with one, LevelChanged is raised.
        strain: asked at each segment's end: why the device carries more than it should.
    """

    work_dir: Path
    batches: Iterator[FrameBatch]
    decoder: Decoder
    analysis: Analysis
    correct: Callable[[Row], Row]
    painter: TilePainter
    new_encoder: Callable[[], Encoder]
    moments: ThumbnailStore
    grid: SegmentGrid
    checkpoint: Checkpoint
    clock: JobClock
    on_frames: Callable[[int, float], None]
    should_stop: StopCheck
    degradation: Degradation
    pressure_reason: Callable[[], str | None]
    _frame_skipper: FrameSkipper = field(init=False)
    _latency: StageTimer = field(init=False)
    _replaced_frames: int = field(init=False)
    _lost: list[tuple[int, int]] = field(init=False, default_factory=list)  # of the segment that is being written
    _cpu_fallback: bool = field(init=False)
    _last_save: float = field(init=False)

    def __post_init__(self) -> None:
        counters = self.checkpoint.counters
        self._replaced_frames = int(counters.get("replaced_frames", 0))
        self._cpu_fallback = bool(counters.get("cpu_fallback", False))
        self._last_save = time.monotonic()
        self._frame_skipper = FrameSkipper(
            self.degradation.workload.frame_step,
            analysed_pts=self.checkpoint.analysis.get("analysed_pts"),
            skipped=self.checkpoint.skipped,
        )
        self._latency = StageTimer()

    def run(self) -> None:
        """Render all that the checkpoint does not have yet.

        Raises:
            JobStopped: asked to stop; the checkpoint has everything up to the last segment.
            LevelChanged: likewise.
            ExplainedError: whatever a stage raised.
        """
        make_folder(self._segments_dir)
        depth = self.degradation.workload.depth
        with (
            closing(Stage("decode", self._timed(self.batches), depth, self._watch("decode", depth))) as batches,
            closing(Stage("analyse", self._chunks(batches), depth, self._watch("analyse", depth))) as chunks,
            closing(Stage("compose", self._painted(chunks), depth, self._watch("compose", depth))) as painted,
        ):
            self._encode_segments(painted)

    def _watch(self, stage: str, depth: int) -> Callable[[Sized, int], None]:
        stats_collector, most = self.clock.stats_collector, depth + 1  # one more is made, and waits for its place

        def watch(part: Sized, sign: int) -> None:
            if sign > 0:
                stats_collector.queued(stage, len(part), most_parts=most)
            else:
                stats_collector.taken(stage, len(part))

        return watch

    @property
    def _segments_dir(self) -> Path:
        return self.work_dir / "segments"

    def _timed(self, decoded: Iterator[FrameBatch]) -> Iterator[FrameBatch]:
        while True:
            begin, read_before_s = time.perf_counter(), storage.waited_s()
            batch = next(decoded, None)
            if batch is None:
                return
            seconds, reading_s = time.perf_counter() - begin, storage.waited_s() - read_before_s
            self.clock.add("decode", seconds, len(batch))
            self.clock.stats_collector.spent([frame.pts for frame in batch.frames], max(0.0, seconds - reading_s))
            yield batch

    def _chunks(self, batches: Iterable[FrameBatch]) -> Iterator[Chunk]:
        """Cut the analysis's output at segment boundaries."""
        segment: int | None = None
        for planned in self._all_planned(batches):
            rest = planned
            while rest:
                index = self.grid.index(rest[0].row.pts)
                if segment is not None and index != segment:
                    yield Chunk(segment, [], self._boundary([p.row for p in rest]))
                segment = index
                head = [p for p in rest if self.grid.index(p.row.pts) == index]
                yield Chunk(index, head)
                rest = rest[len(head) :]
        if segment is not None:
            yield Chunk(segment, [], self._boundary([]))

    def _all_planned(self, batches: Iterable[FrameBatch]) -> Iterator[list[Planned]]:
        for batch in self._frame_skipper.thin(batches):
            begin = time.perf_counter()
            planned = self.analysis.push(batch)
            self.clock.stats_collector.spent([frame.pts for frame in batch.frames], time.perf_counter() - begin)
            yield planned
        yield self.analysis.finish()

    def _boundary(self, undelivered: list[Row]) -> Boundary:
        next_pts = undelivered[0].pts if undelivered else None
        skipped = self._frame_skipper.settle(next_pts)
        return Boundary(next_pts, self.analysis.state(undelivered), skipped, self._frame_skipper.skipped)

    def _painted(self, chunks: Iterable[Chunk]) -> Iterator[Painted]:
        for chunk in chunks:
            begin = time.perf_counter()
            shown = [self.correct(planned.row) for planned in chunk.planned]
            images = self.painter.paint_all([planned.frame for planned in chunk.planned], shown)
            seconds = time.perf_counter() - begin
            self.clock.add("compose", seconds, len(images))
            self.clock.stats_collector.spent(chunk.pts, seconds)
            frames = [planned.frame for planned in chunk.planned if planned.frame.replaced]
            replaced = [(frame.pts, frame.pts + frame.duration) for frame in frames]
            rows = [planned.row for planned in chunk.planned]
            yield Painted(chunk.segment, rows, shown, images, replaced, chunk.boundary)

    def _encode_segments(self, painted: Iterator[Painted]) -> None:
        for first in painted:
            encoder = self.new_encoder()
            replaced_before = self._replaced_frames
            with SegmentWriter(self._segments_dir, first.segment, self.checkpoint.frames) as writer:
                boundary = self._encode_segment(encoder, writer, first, painted)
                stopping = self.should_stop()
                record = self._at_level(writer.finish(), boundary)
            self.clock.stats_collector.written(output_bytes=record.bytes, dropped=record.skipped)
            self.checkpoint.segments.append(record)
            changed = self.degradation.judge(self._facts(record, self._replaced_frames - replaced_before))
            self._save(boundary, encoder)
            if stopping and boundary.next_pts is not None:
                raise JobStopped("the job was asked to stop and will go on from its last segment")
            if changed and boundary.next_pts is not None:
                raise LevelChanged

    def _at_level(self, record: SegmentRecord, boundary: Boundary) -> SegmentRecord:
        degradation = self.degradation
        lost, self._lost = [list(span) for span in merged(self._lost, 1)], []
        return replace(
            record, level=degradation.level.value, reason=degradation.reason, skipped=boundary.skipped, lost=lost
        )

    def _facts(self, record: SegmentRecord, replaced: int) -> SegmentFacts:
        latency, self._latency = self._latency, StageTimer()
        return SegmentFacts(record.frames, replaced, latency.percentile_ms(50) / 1000, self.pressure_reason())

    def _encode_segment(
        self, encoder: Encoder, writer: SegmentWriter, first: Painted, painted: Iterator[Painted]
    ) -> Boundary:
        part: Painted = first
        while part.boundary is None:
            begin = time.perf_counter()
            encoding_s = self._encode(encoder, writer, part)
            self._count(part, time.perf_counter() - begin, encoding_s)
            self.on_frames(self.checkpoint.frames + writer.frames, part.rows[-1].t)
            part = next(painted)
        with self.clock.measure("encode", 0):
            writer.add_packets(encoder.flush())
        return part.boundary

    def _encode(self, encoder: Encoder, writer: SegmentWriter, part: Painted) -> float:
        """Encode and write a chunk; returns the time that the encoder took, which a slow disk does not lengthen."""
        self._replaced_frames += len(part.replaced)
        self._lost += part.replaced
        encoding_s = 0.0
        for row, shown, frame in zip(part.rows, part.shown, part.images, strict=True):
            writer.add_row(row, shown, frame.duration)
            begin = time.perf_counter()
            packets = encoder.encode(frame)
            encoding_s += time.perf_counter() - begin
            writer.add_packets(packets)
            self.moments.offer(frame, shown)
        return encoding_s

    def _count(self, part: Painted, seconds: float, encoding_s: float) -> None:
        self.clock.add("encode", seconds, len(part))
        stats_collector = self.clock.stats_collector
        stats_collector.spent(part.pts, encoding_s)
        for latency_s in stats_collector.done(part.pts):
            self._latency.add(latency_s)
        stats_collector.written(frames=len(part), replaced=len(part.replaced))

    def _save(self, boundary: Boundary, encoder: Encoder) -> None:
        checkpoint = self.checkpoint
        now = time.monotonic()
        checkpoint.wall_s += now - self._last_save
        self._last_save = now
        checkpoint.next_pts = boundary.next_pts
        checkpoint.complete = boundary.next_pts is None
        checkpoint.analysis = boundary.analysis
        checkpoint.skipped = boundary.skipped_ahead
        checkpoint.extradata = encoder.extradata.hex()
        checkpoint.encoder = encoder.name
        checkpoint.timing = self.clock.state()
        checkpoint.checkpoints += 1
        checkpoint.counters["replaced_frames"] = self._replaced_frames
        checkpoint.counters["truncated"] = self.decoder.truncated
        checkpoint.counters["cpu_fallback"] = self._cpu_fallback or self.decoder.cpu_fallback
        checkpoint.save(self.work_dir)
