"""The stage that encodes composed frames into segments and saves the checkpoint after each segment."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from engines.containers.survey import merged
from engines.protocols import Decoder, Encoder
from pipeline.degradation.controller import LevelChanged
from pipeline.degradation.triggers import SegmentFacts
from pipeline.errors import JobStopped
from pipeline.rendering.compose_stage import ComposedChunk
from pipeline.rendering.stream import StreamJob
from pipeline.rendering.thumbnails import ThumbnailStore
from pipeline.segments.checkpoint import Boundary, Counters
from pipeline.segments.segment import SegmentRecord, SegmentWriter
from pipeline.telemetry.timing import StageTimer


class EncodeStage:
    """Encodes each segment with a fresh encoder.

    Args:
        decoder: its flags for truncation and CPU fallback go into the checkpoint.
        new_encoder: opens the encoder of a segment.
    """

    def __init__(
        self, job: StreamJob, decoder: Decoder, *, new_encoder: Callable[[], Encoder], thumbnails: ThumbnailStore
    ) -> None:
        self._job = job
        self._checkpoint = job.checkpoint
        self._stats = job.telemetry.stats_collector
        self._decoder = decoder
        self._new_encoder = new_encoder
        self._thumbnails = thumbnails
        self._before = job.checkpoint.counters  # those of earlier attempts
        self._replaced_frames = job.checkpoint.counters.replaced_frames
        self._lost: list[tuple[int, int]] = []  # of the current segment, as ``ComposedChunk.replaced``
        self._latency = StageTimer()  # of the current segment
        self._last_save = time.monotonic()

    def run(self, composed: Iterator[ComposedChunk]) -> None:
        """Encode all chunks.

        Raises:
            JobStopped, LevelChanged: the checkpoint has all up to the last segment.
            ExplainedError: what an earlier stage, the encoder or the storage raised.
        """
        for first in composed:
            encoder = self._new_encoder()
            replaced_before = self._replaced_frames
            with SegmentWriter(self._job.spec.paths.segments, first.segment, self._checkpoint.frames) as writer:
                boundary = self._encode_segment(encoder, writer, first, composed)
                self._job.interruption.confirm_ownership()
                stopping = self._job.interruption.stop_requested()
                record = self._completed(writer.finish(), boundary)
            self._stats.count_written(output_bytes=record.bytes, dropped=record.skipped)
            self._checkpoint.add_segment(record, boundary, encoder=encoder.name, extradata=encoder.extradata)
            changed = self._job.degradation.record_segment(self._facts(record, self._replaced_frames - replaced_before))
            self._save()
            if stopping and boundary.next_pts is not None:
                raise JobStopped("the job was asked to stop and will go on from its last segment")
            if changed and boundary.next_pts is not None:
                raise LevelChanged

    def _encode_segment(
        self, encoder: Encoder, writer: SegmentWriter, first: ComposedChunk, composed: Iterator[ComposedChunk]
    ) -> Boundary:
        chunk = first
        while chunk.boundary is None:
            begin = time.perf_counter()
            encoding_s = self._encode(encoder, writer, chunk)
            self._count(chunk, time.perf_counter() - begin, encoding_s)
            self._job.on_frames(self._checkpoint.frames + writer.frames, chunk.rows[-1].t)
            chunk = next(composed)
        with self._job.telemetry.measure("encode", 0):
            writer.add_packets(encoder.flush())
        return chunk.boundary

    def _encode(self, encoder: Encoder, writer: SegmentWriter, chunk: ComposedChunk) -> float:
        """Encode and write a chunk; return the seconds that the encoder took, without those of the disk."""
        self._replaced_frames += len(chunk.replaced)
        self._lost += chunk.replaced
        encoding_s = 0.0
        for row, shown, frame in zip(chunk.rows, chunk.shown, chunk.images, strict=True):
            writer.add_row(row, shown, frame.duration)
            begin = time.perf_counter()
            packets = encoder.encode(frame)
            encoding_s += time.perf_counter() - begin
            writer.add_packets(packets)
            self._thumbnails.offer(frame, shown)
        return encoding_s

    def _count(self, chunk: ComposedChunk, seconds: float, encoding_s: float) -> None:
        self._job.telemetry.add("encode", seconds, len(chunk))
        self._stats.add_frame_time(chunk.pts, encoding_s)
        for latency_s in self._stats.finish_frames(chunk.pts):
            self._latency.add(latency_s)
        self._stats.count_written(frames=len(chunk), replaced=len(chunk.replaced))

    def _completed(self, record: SegmentRecord, boundary: Boundary) -> SegmentRecord:
        """Return the record with level, skipped frames and lost frames added."""
        degradation = self._job.degradation
        lost, self._lost = [list(span) for span in merged(self._lost, 1)], []
        return replace(
            record, level=degradation.level.value, reason=degradation.reason, skipped=boundary.skipped, lost=lost
        )

    def _facts(self, record: SegmentRecord, replaced: int) -> SegmentFacts:
        latency, self._latency = self._latency, StageTimer()
        return SegmentFacts(
            record.frames, replaced, latency.percentile_ms(50) / 1000, self._job.backend.pressure_reason()
        )

    def _save(self) -> None:
        now = time.monotonic()
        wall_s, self._last_save = now - self._last_save, now
        counters = Counters(
            replaced_frames=self._replaced_frames,
            truncated=self._decoder.truncated,
            cpu_fallback=self._before.cpu_fallback or self._decoder.cpu_fallback,
        )
        self._checkpoint.add_figures(counters, self._job.telemetry.state(), wall_s=wall_s)
        self._checkpoint.save(self._job.spec.work_dir)
