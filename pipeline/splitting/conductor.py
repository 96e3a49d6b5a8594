"""Conducts the work on the parts of one recording: what it decides itself, and what its crew does."""

from __future__ import annotations

import shutil
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import orjson
import structlog

from engines.files import make_folder
from engines.frames import FrameBatch
from pipeline.detection.face_detector import FaceFinder
from pipeline.durable import storage_errors
from pipeline.identity.resolver import PeopleResolver
from pipeline.limits import within_duration
from pipeline.people import Row
from pipeline.rendering.analyse_stage import AnalyseStage
from pipeline.rendering.build_analysis import build_analysis
from pipeline.rendering.build_output import done_t
from pipeline.rendering.encoder_factory import pin_threads
from pipeline.rendering.rebatch import aligned
from pipeline.rendering.stream import StreamJob
from pipeline.segments.checkpoint import Boundary
from pipeline.splitting.adoption import Adoption, RenderedPart
from pipeline.splitting.frame_reader import FrameReader
from pipeline.splitting.orders import (
    ROWS,
    SEGMENTS,
    TABLE,
    Answer,
    Crew,
    DetectPart,
    EncoderPin,
    Order,
    PartFailed,
    PartProgress,
    RenderPart,
    SegmentsRendered,
    StageTimes,
    TableWritten,
    WorkerLeft,
)
from pipeline.splitting.part import Part, plan_parts
from pipeline.splitting.part_board import STAGES, Grant, PartBoard, SplitAbandonedError
from pipeline.splitting.replay import ReplayFinder, TableDecoder
from pipeline.splitting.split_progress import SplitProgress
from pipeline.splitting.table import DamagedTableError, DetectionTable, read_table

_POLL_S = 0.2
_WORKER_WAIT_S = 60.0  # without any worker
_READER_REACH_S = 2.0

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Decided:
    """The rows of a part, and where its segments end.

    Attributes:
        first_frame: number of frames of the output before it.
        before_t: time of the last of them in seconds; None if there is none.
    """

    first_frame: int
    before_t: float | None
    rows: list[Row] = field(default_factory=list)
    boundaries: dict[int, Boundary] = field(default_factory=dict)

    def next(self) -> _Decided:
        """Return what is decided of the next part: nothing yet."""
        return _Decided(self.first_frame + len(self.rows), self.rows[-1].t)


class Conductor:
    """Works on the rest of one recording with a crew.

    Args:
        job: at the level "normal".
        batch_frames: number of frames per batch of analysis.
        start_pts: of the recording's first frame.
        next_pts: of the first frame that is not in the checkpoint.
    """

    def __init__(
        self, job: StreamJob, crew: Crew, finder: FaceFinder, *, batch_frames: int, start_pts: int, next_pts: int
    ) -> None:
        self._job, self._crew = job, crew
        self._batch_frames = batch_frames
        self._start_pts, self._next_pts = start_pts, next_pts
        video, workers = job.info.video, len(crew.workers())
        segment_s = job.spec.segments.seconds
        self._grid = job.segment_grid(start_pts)
        self._parts = plan_parts(
            job.info, start_pts, next_pts, segment_s=segment_s, chunk_s=job.spec.chunk_s, workers=workers
        )
        self._board = PartBoard(self._parts, workers)
        self._adoption = Adoption(job)
        self._tables: dict[int, DetectionTable] = {}
        self._decided: dict[int, _Decided] = {}
        self._progress = SplitProgress(job.checkpoint.frames, job.degradation.at_s)
        self._staffed_at = time.monotonic()
        self._decoder = TableDecoder(self._tables_in_order(), video.time_base)
        self._reader = FrameReader(job.open_decoder, int(_READER_REACH_S / float(video.time_base)))
        self._finder = ReplayFinder(finder, self._decoder, self._reader)
        self.people, self._analysis = build_analysis(job, self._finder, start_pts)

    def run(self) -> PeopleResolver:
        """Work until all segments are in the checkpoint; return who the people are.

        Raises:
            JobStopped, LevelChanged: the checkpoint has all segments that are done.
            SplitAbandonedError: likewise; the rest must be worked on without parts.
            ExplainedError: what deciding or the storage raised.
        """
        paths = self._job.spec.paths
        pin_threads(self._job)
        with storage_errors("preparing the parts"):
            shutil.rmtree(paths.parts, ignore_errors=True)
            make_folder(paths.parts)
            make_folder(paths.segments)
        workers = len(self._crew.workers())
        self._job.checkpoint.add_crew(workers)
        log.info("recording is split", parts=len(self._parts), workers=workers)
        self._job.on_frames(self._progress.frames, self._progress.seconds)
        try:
            with closing(self._reader):
                self._decide()
                while not self._board.done:
                    self._attend(_POLL_S)
        finally:
            self._crew.dismiss()
            self._tables.clear()
            self._decoder.close()
            self._remove_parts()
        log.info("parts are done", decoded_again=self._finder.misses, starts=self._reader.starts)
        return self.people

    def _remove_parts(self) -> None:
        """Remove all folders; a worker that still writes does not find them any more."""
        parts = self._job.spec.paths.parts
        away = parts.with_name(f".{parts.name}")
        shutil.rmtree(away, ignore_errors=True)  # of an attempt that was killed just here
        with suppress(OSError):
            parts.rename(away)
        shutil.rmtree(away, ignore_errors=True)

    # decisions

    def _decide(self) -> None:
        """Decide all rows from the tables; a part may be rendered as soon as its rows are decided."""
        job, remaining = self._job, deque(self._parts)
        decided = _Decided(job.checkpoint.frames, done_t(job, self._start_pts))
        for chunk in AnalyseStage(job, self._analysis, self._grid).run(self._replayed()):
            decided.rows += [planned.row for planned in chunk.planned]
            if chunk.planned:
                job.telemetry.stats_collector.finish_frames(chunk.pts)
            if chunk.boundary is not None:
                decided.boundaries[chunk.segment] = chunk.boundary
                while len(remaining) > 1 and chunk.segment >= remaining[0].end_segment:
                    self._skip(remaining.popleft())
                if self._ends_part(remaining[0], chunk.boundary, is_last=len(remaining) == 1):
                    self._finish_deciding(remaining.popleft(), decided)
                    decided = decided.next()
            self._attend(0.0)
        for part in remaining:  # the header announces more than there is
            self._skip(part)

    def _skip(self, part: Part) -> None:
        """Take a part as done that has no frame."""
        self._board.skip(part.index)
        self._adoption.add(part.index, None)

    def _replayed(self) -> Iterator[FrameBatch]:
        replayed = self._job.rate.batches(self._decoder, self._next_pts, self._batch_frames)
        batches = aligned(replayed, self._batch_frames, self._grid)
        return within_duration(batches, self._start_pts, self._job.spec.limits)

    def _ends_part(self, part: Part, boundary: Boundary, *, is_last: bool) -> bool:
        if boundary.next_pts is None:
            return True
        return not is_last and self._grid.index(boundary.next_pts) >= part.end_segment

    def _finish_deciding(self, part: Part, decided: _Decided) -> None:
        self._decided[part.index] = decided
        self._board.may_render(part.index)

    def _tables_in_order(self) -> Iterator[DetectionTable]:
        for part in self._parts:
            while part.index not in self._tables:
                self._attend(_POLL_S)
            yield self._tables.pop(part.index)

    # the crew

    def _attend(self, timeout_s: float) -> None:
        """Give orders to workers without one, and take the answers that are there or come soon."""
        self._job.interruption.check("and will go on from its last segment")
        workers = self._crew.workers()
        self._check_staff(workers)
        for worker, stage in product(workers, STAGES):
            if (grant := self._board.grant(worker, stage)) is not None:
                self._crew.give(worker, self._order(grant))
        while (answered := self._crew.answer(timeout_s)) is not None:
            self._take(*answered)
            timeout_s = 0.0
        self._board.check_silence()

    def _check_staff(self, workers: Sequence[str]) -> None:
        now = time.monotonic()
        if workers:
            self._staffed_at = now
        elif now - self._staffed_at > _WORKER_WAIT_S:
            raise SplitAbandonedError("no worker is left")

    def _order(self, grant: Grant) -> Order:
        part, folder = grant.part, self._folder(grant.folder)
        compute_class = self._job.checkpoint.compute_class
        with storage_errors("preparing a part"):
            folder.mkdir()
            if grant.stage == "detect":
                workers = len(self._crew.workers())
                return DetectPart(part, grant.folder, self._start_pts, compute_class, workers)
            decided = self._decided[part.index]
            make_folder(folder / SEGMENTS)
            lines = (orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in decided.rows)
            (folder / ROWS).write_bytes(b"".join(lines))
        pinned = self._job.checkpoint
        pin = EncoderPin(pinned.encoder, pinned.encoder_threads, pinned.extradata)
        return RenderPart(
            part, grant.folder, self._start_pts, compute_class, decided.first_frame, decided.before_t, pin
        )

    def _folder(self, name: str) -> Path:
        return self._job.spec.paths.parts / name

    def _take(self, worker: str, answer: Answer) -> None:
        if isinstance(answer, WorkerLeft):
            reason = answer.reason or "workers have failed"
            for grant in self._board.leave(worker, reason, is_failure=answer.is_failure):
                self._withdraw(grant)
            return
        held = self._board.hear(answer.folder)
        if held is None or held.worker != worker:
            return  # it was withdrawn
        if isinstance(answer, PartProgress):
            self._add_progress(held, answer)
        elif isinstance(answer, PartFailed):
            self._fail(held, answer.flaw)
        elif isinstance(answer, TableWritten):
            self._take_table(held, answer)
        else:
            self._take_segments(held, answer)

    def _take_table(self, grant: Grant, answer: TableWritten) -> None:
        if answer.flaw:
            raise SplitAbandonedError(answer.flaw)
        folder = self._folder(grant.folder)
        try:
            table = read_table(folder / TABLE, answer.sha256)
        except DamagedTableError as error:
            self._fail(grant, error.message)
            return
        self._board.finish(grant.folder)
        self._add_times(answer.times)
        self._tables[grant.part.index] = table
        shutil.rmtree(folder, ignore_errors=True)

    def _take_segments(self, grant: Grant, answer: SegmentsRendered) -> None:
        self._board.finish(grant.folder)
        self._add_times(answer.times)
        decided = self._decided.pop(grant.part.index)
        part = RenderedPart(self._folder(grant.folder), answer, decided.boundaries)
        self._adoption.add(grant.part.index, part)

    def _fail(self, grant: Grant, reason: str) -> None:
        log.warning("part failed", part=grant.folder, stage=grant.stage, reason=reason)
        self._withdraw(self._board.fail(grant.folder, reason))

    def _withdraw(self, grant: Grant) -> None:
        """Move the folder of a worker that may still write: it must not write where another one does."""
        self._progress.withdraw(grant.part.index, grant.stage)
        folder = self._folder(grant.folder)
        with storage_errors("moving a part away"):
            folder.rename(folder.with_name(f".withdrawn-{grant.folder}"))

    # figures

    def _add_times(self, times: StageTimes) -> None:
        for stage, (seconds, frames) in times.items():
            self._job.telemetry.add(stage, seconds, frames)

    def _add_progress(self, grant: Grant, progress: PartProgress) -> None:
        self._progress.add(grant.part.index, grant.stage, progress.frames, progress.seconds)
        self._job.on_frames(self._progress.frames, self._progress.seconds)
