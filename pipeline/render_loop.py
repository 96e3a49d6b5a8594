"""Renders a job in as many passes as it takes: a pass ends early if the level of degradation changes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TypeAlias

import structlog

from engines.registry import open_backend, release_memory
from pipeline.allocator import trim_heap
from pipeline.degradation.controller import Degradation, LevelChanged
from pipeline.degradation.level_ladder import Level
from pipeline.errors import StartOverError
from pipeline.fingerprint import FileDigest
from pipeline.interruption import Interruption
from pipeline.job import JobSpec
from pipeline.progress import ProgressReporter
from pipeline.render_stream import render_stream
from pipeline.rendering.encoder_factory import EncoderChangedError, use_x264
from pipeline.rendering.frame_rate import OutputRate
from pipeline.rendering.stream import StreamJob, StreamOutcome
from pipeline.resume import start_over
from pipeline.segments.checkpoint import Checkpoint
from pipeline.splitting.orders import Crew
from pipeline.splitting.part import duration_s, obstacle
from pipeline.splitting.part_board import SplitAbandonedError
from pipeline.telemetry.timing import JobTelemetry

GatherCrew: TypeAlias = Callable[[float], Crew | None]  # for so many seconds of the recording

log = structlog.get_logger(__name__)

_MOST_RESTARTS = 2  # of one attempt: on another machine, and then with another encoder


@dataclass(frozen=True, slots=True)
class Rendered:
    """A job of which all frames are in segments. ``earlier_wall_s`` is the time of earlier attempts that counts."""

    checkpoint: Checkpoint
    degradation: Degradation
    outcome: StreamOutcome
    earlier_wall_s: float


class RenderLoop:
    """Renders all frames of one job.

    Args:
        digest: of the source; each checkpoint records it once it is known.
        gather_crew: returns workers for the parts of the recording, None if there are none; None: it is not split.
    """

    def __init__(
        self,
        spec: JobSpec,
        rate: OutputRate,
        digest: FileDigest,
        *,
        telemetry: JobTelemetry,
        interruption: Interruption,
        reporter: ProgressReporter,
        gather_crew: GatherCrew | None = None,
    ) -> None:
        self._spec = spec
        self._rate = rate
        self._digest = digest
        self._telemetry = telemetry
        self._interruption = interruption
        self._reporter = reporter
        self._device = spec.device
        self._gather_crew = gather_crew
        self._notes: list[str] = []
        if gather_crew is not None and (reason := obstacle(rate)):
            self._work_without_parts(reason)

    def run(self, checkpoint: Checkpoint) -> Rendered:
        """Render what the checkpoint lacks; start over if its segments cannot be continued here.

        Raises:
            JobStopped: a stop is requested; the checkpoint has all up to the last segment.
            ExplainedError: what rendering raised, if no lower level helps.
        """
        earlier_wall_s = checkpoint.wall_s
        for _ in range(_MOST_RESTARTS):
            try:
                return self._render(checkpoint, earlier_wall_s)
            except StartOverError as error:
                checkpoint, earlier_wall_s = self._start_over(checkpoint, error), 0.0
        return self._render(checkpoint, earlier_wall_s)

    def _start_over(self, checkpoint: Checkpoint, error: StartOverError) -> Checkpoint:
        fresh = start_over(self._spec, checkpoint, self._telemetry, error.message)
        if isinstance(error, EncoderChangedError) and error.successor:
            use_x264(fresh, error.message)
        return fresh

    def _render(self, checkpoint: Checkpoint, earlier_wall_s: float) -> Rendered:
        settings, time_base = self._spec.degradation, self._rate.info.video.time_base
        degradation = Degradation(settings, self._spec.work_dir, checkpoint, time_base)
        while True:
            degradation.wait_until_ready(self._interruption, lambda: self._report_wait(checkpoint, degradation))
            outcome = self._pass(checkpoint, degradation)
            if outcome is not None:
                return Rendered(checkpoint, degradation, outcome, earlier_wall_s)
            self._telemetry.stats_collector.drop_frames_in_flight()
            release_memory()
            trim_heap()

    def _pass(self, checkpoint: Checkpoint, degradation: Degradation) -> StreamOutcome | None:
        """Render at one level; return None if another pass must follow. The device is closed at the end."""
        crew = self._crew(checkpoint, degradation)
        try:
            with closing(open_backend(self._device, nvenc=self._spec.nvenc)) as backend:
                if backend.device != "cpu":  # later passes must not leave a GPU that is short of memory
                    self._device = self._device.model_copy(update={"backend": "cuda"})
                outcome = render_stream(
                    StreamJob(
                        self._spec,
                        self._rate,
                        backend,
                        checkpoint,
                        self._telemetry,
                        degradation,
                        self._interruption,
                        on_frames=lambda frames, seconds: self._on_frames(checkpoint, degradation, frames, seconds),
                        on_wait=lambda: self._report_wait(checkpoint, degradation),
                    ),
                    crew,
                )
                return replace(outcome, notes=(*outcome.notes, *self._notes))
        except SplitAbandonedError as abandoned:
            self._work_without_parts(str(abandoned))
            return None
        except LevelChanged:
            return None
        except Exception as error:
            if not degradation.accepts(error):
                raise
            return None
        finally:
            if crew is not None:
                crew.dismiss()

    def _crew(self, checkpoint: Checkpoint, degradation: Degradation) -> Crew | None:
        if self._gather_crew is None or checkpoint.complete or degradation.level is not Level.NORMAL:
            return None
        return self._gather_crew(duration_s(self._rate.info) - degradation.at_s)

    def _work_without_parts(self, reason: str) -> None:
        self._gather_crew = None
        self._notes.append(f"The recording is not worked on in parts: {reason}.")
        log.info("recording is not split", reason=reason)

    def _on_frames(self, checkpoint: Checkpoint, degradation: Degradation, frames: int, seconds: float) -> None:
        if self._digest.known:
            checkpoint.set_source_digest(self._digest.known)  # saved with the next segment
        self._reporter.report("render", self._rate.info, frames, seconds, degradation)

    def _report_wait(self, checkpoint: Checkpoint, degradation: Degradation) -> None:
        self._reporter.report_wait(self._rate.info, checkpoint, degradation)
