"""Puts rendered parts into the checkpoint, in order of time."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.degradation.controller import LevelChanged
from pipeline.degradation.triggers import SegmentFacts
from pipeline.durable import storage_errors
from pipeline.errors import JobStopped
from pipeline.rendering.stream import StreamJob
from pipeline.rendering.thumbnails import move_thumbnails
from pipeline.segments import segment as segments
from pipeline.segments.checkpoint import Boundary
from pipeline.splitting.orders import SEGMENTS, SegmentsRendered
from pipeline.splitting.part_board import SplitAbandonedError
from pipeline.workdir import THUMBNAILS


@dataclass(frozen=True, slots=True)
class RenderedPart:
    """The folder of a part, what its segments are and, by segment, where each one ends."""

    folder: Path
    answer: SegmentsRendered
    boundaries: Mapping[int, Boundary]


class Adoption:
    """Adopts parts that come in any order."""

    def __init__(self, job: StreamJob) -> None:
        self._job = job
        self._waiting: dict[int, RenderedPart | None] = {}
        self._next = 0
        self._last_save = time.monotonic()

    def add(self, index: int, part: RenderedPart | None) -> None:
        """Take a part, None for an empty one; adopt it and its followers as soon as all before them are there.

        Raises:
            JobStopped: a stop is requested; LevelChanged: rendering must be interrupted.
            SplitAbandonedError: the part does not go with the others.
            ExplainedError: the storage failed, or another host has the job.
        """
        self._waiting[index] = part
        while self._next in self._waiting:
            part = self._waiting.pop(self._next)
            self._next += 1
            if part is not None:
                self._adopt(part)

    def _adopt(self, part: RenderedPart) -> None:
        job, answer = self._job, part.answer
        checkpoint, directory = job.checkpoint, job.spec.paths.segments
        folder = part.folder / SEGMENTS
        self._check(part, folder)
        job.interruption.confirm_ownership()
        with storage_errors("taking thumbnails over"):
            move_thumbnails(part.folder / THUMBNAILS, job.spec.paths.thumbnails)
        changed = False
        for record in answer.records:
            with storage_errors("taking a segment over"):
                segments.move(folder, directory, record)
            boundary = part.boundaries[record.index]
            checkpoint.add_segment(record, boundary, encoder=answer.encoder, extradata=bytes.fromhex(answer.extradata))
            facts = SegmentFacts(record.frames, 0, 0.0, job.backend.pressure_reason())
            changed = job.degradation.record_segment(facts) or changed
            job.telemetry.stats_collector.count_written(frames=record.frames, output_bytes=record.bytes)
        self._save()
        shutil.rmtree(part.folder, ignore_errors=True)
        if checkpoint.complete:
            return
        if job.interruption.stop_requested():
            raise JobStopped("the job was asked to stop and will go on from its last segment")
        if changed:
            raise LevelChanged

    def _check(self, part: RenderedPart, folder: Path) -> None:
        checkpoint, answer = self._job.checkpoint, part.answer
        if checkpoint.segments and (checkpoint.encoder, checkpoint.extradata) != (answer.encoder, answer.extradata):
            raise SplitAbandonedError("workers encode in different ways")
        if [record.index for record in answer.records] != list(part.boundaries):
            raise SplitAbandonedError("a part has other segments than were decided")
        if not all(segments.is_intact(folder, record) for record in answer.records):
            raise SplitAbandonedError("a segment is not what its worker wrote")

    def _save(self) -> None:
        now = time.monotonic()
        wall_s, self._last_save = now - self._last_save, now
        checkpoint = self._job.checkpoint
        checkpoint.add_figures(checkpoint.counters, self._job.telemetry.state(), wall_s=wall_s)
        checkpoint.save(self._job.spec.work_dir)
