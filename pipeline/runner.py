"""One job from its source to its finished files: probe, render, assemble, verify, report."""

from __future__ import annotations

import shutil
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import structlog

from engines.audio.policy import AudioPolicy
from engines.cpu.filters import surface_size
from engines.errors import ExplainedError
from engines.frames import ColorTags, MediaInfo
from engines.media.probe import probe
from engines.registry import open_backend, release_memory
from pipeline.degradation.controller import Degradation, LevelChanged
from pipeline.degradation.workload import MAX_SURFACE_PIXELS
from pipeline.durable import storage_errors, write_durably
from pipeline.errors import JobStopped, PipelineError, StartOverError
from pipeline.fingerprint import FileDigest, fingerprint
from pipeline.job import Deliverables, JobResult, JobSpec, Progress, ProgressCallback, StopCheck, TallyCallback
from pipeline.joining import joined, with_warnings_of_parts
from pipeline.limits import check_limits
from pipeline.rendering.allocator import keep_in_heap, settle_allocator, trim_heap
from pipeline.rendering.build import OUTPUT_HEIGHT, OUTPUT_WIDTH, StreamJob, StreamOutcome, render_stream
from pipeline.rendering.encoder_factory import EncoderChangedError, use_x264
from pipeline.rendering.frame_rate import OutputRate, output_rate
from pipeline.rendering.thumbnails import forget_moments
from pipeline.report.common import MODELS, facts
from pipeline.report.contact_sheet import SheetOrder, write_preview
from pipeline.report.debug_video import write_debug_video
from pipeline.report.success import Evidence, success_report
from pipeline.segments import checkpoint as checkpoints
from pipeline.segments.assemble import Assembled, AssemblyOrder, assemble
from pipeline.segments.checkpoint import Checkpoint
from pipeline.settings import ProfileSettings
from pipeline.telemetry.throughput import Pace
from pipeline.telemetry.timing import JobClock

_MOST_RESTARTS = 2  # of one attempt: on another machine, and then with another encoder
_TELL_EVERY_S = 1.0
_ROW_PADDING = 64  # pixels

log = structlog.get_logger(__name__)


def run_job(
    spec: JobSpec, *, on_progress: ProgressCallback, should_stop: StopCheck, on_tally: TallyCallback = lambda _: None
) -> JobResult:
    """Do one job, from its checkpoint where there is a good one.

    Args:
        spec: what is to be done, and where.
        on_progress: called several times a second while something moves, from one thread.
        should_stop: asked at segment boundaries; once true the job checkpoints and raises JobStopped.
        on_tally: called about once a second and at the end with what was done since the last call, from one thread.

    Returns:
        The finished files, in the work directory.

    Raises:
        ExplainedError: what went wrong, ready to be shown; JobStopped when asked to stop.
    """
    settle_allocator()
    try:
        with storage_errors("working on the job"):
            spec = joined(spec, lambda share: on_progress(Progress("probe", seconds_done=share)), should_stop)
            return _Job(spec, on_progress, should_stop, on_tally).run()
    except ExplainedError:
        raise
    except Exception as exc:
        raise PipelineError(f"The program failed: {type(exc).__name__}: {exc}") from exc


def _audio_policy(profile: ProfileSettings) -> AudioPolicy:
    return AudioPolicy(profile.audio, None if profile.loudness_lufs == "source" else profile.loudness_lufs)


def _surface_bytes(info: MediaInfo) -> int:
    """Memory of one frame that travels through the stages, NV12, rows padded as decoders like it."""
    width, height = surface_size(info.video, MAX_SURFACE_PIXELS)
    return (width + _ROW_PADDING) * (height + _ROW_PADDING) * 3 // 2


class _Job:
    """The steps of one job, and what they share."""

    def __init__(
        self, spec: JobSpec, on_progress: ProgressCallback, should_stop: StopCheck, on_tally: TallyCallback
    ) -> None:
        self._spec = spec
        self._on_progress = on_progress
        self._should_stop = should_stop
        self._on_tally = on_tally
        self._clock = JobClock()
        self._begin = self._told_at = time.monotonic()
        self._pace = Pace()
        self._steady_pace = Pace(window_s=60.0, least_s=3.0)  # a time left that jumps tells nobody anything
        self._render_s: float | None = None
        self._device = spec.device
        self._degradation: Degradation | None = None
        self._wall_before_s = 0.0  # by earlier attempts

    def run(self) -> JobResult:
        try:
            return self._run()
        finally:
            self._on_tally(self._clock.stats_collector.take())

    def _run(self) -> JobResult:
        self._on_progress(Progress("probe"))
        source = with_warnings_of_parts(probe(self._spec.source, max_pixels=self._spec.limits.pixels), self._spec)
        check_limits(source, self._spec.limits)
        rate = output_rate(source, self._spec.profile)
        info = rate.info
        keep_in_heap(_surface_bytes(info))
        self._digest = FileDigest(self._spec.source)
        checkpoint = self._checkpoint(info)
        self._wall_before_s = checkpoint.wall_s
        checkpoint, outcome = self._render_all(rate, checkpoint)
        return self._finish_with_room(rate, checkpoint, outcome)

    def _finish_with_room(self, rate: OutputRate, checkpoint: Checkpoint, outcome: StreamOutcome) -> JobResult:
        """Make the files that are delivered, as soon as the disk has room for them."""
        degradation = self._degradation
        assert degradation is not None  # rendering begins with it
        while True:
            degradation.wait_for_space(
                sum(segment.bytes for segment in checkpoint.segments),
                "the finished video",
                should_stop=self._should_stop,
                on_wait=lambda: self._waiting(rate.info, checkpoint, degradation),
            )
            try:
                return self._finish(rate, checkpoint, outcome)
            except Exception as error:
                if not degradation.is_refused(error):
                    raise

    def _finish(self, rate: OutputRate, checkpoint: Checkpoint, outcome: StreamOutcome) -> JobResult:
        assembled = self._assemble(rate.info, checkpoint, outcome.color)
        return self._result(
            Evidence(
                rate=rate,
                sha256=self._note_digest(checkpoint),
                checkpoint=checkpoint,
                clock=self._clock,
                outcome=outcome,
                assembled=assembled,
                width=OUTPUT_WIDTH,
                height=OUTPUT_HEIGHT,
                wall_s=self._wall_before_s + time.monotonic() - self._begin,
            )
        )

    def _render_all(self, rate: OutputRate, checkpoint: Checkpoint) -> tuple[Checkpoint, StreamOutcome]:
        """Render, and anew where what the checkpoint has cannot be gone on with."""
        for _ in range(_MOST_RESTARTS):
            try:
                return checkpoint, self._render(rate, checkpoint)
            except StartOverError as error:
                checkpoint = self._start_over(checkpoint, error)
        return checkpoint, self._render(rate, checkpoint)

    def _start_over(self, checkpoint: Checkpoint, error: StartOverError) -> Checkpoint:
        self._wall_before_s = 0.0
        fresh = self._fresh_checkpoint(checkpoint.fingerprint, error.message)
        fresh.started_over = [*checkpoint.started_over, *fresh.started_over]
        if isinstance(error, EncoderChangedError) and error.successor:
            use_x264(fresh, error.message)
        return fresh

    def _render(self, rate: OutputRate, checkpoint: Checkpoint) -> StreamOutcome:
        """Render what the checkpoint lacks, in as many goes as the level of degradation changes."""
        info = rate.info
        self._degradation = degradation = Degradation(
            self._spec.degradation, self._spec.work_dir, checkpoint, info.video.time_base
        )
        while True:
            degradation.ready(
                should_stop=self._should_stop,
                on_wait=lambda: self._waiting(info, checkpoint, degradation),
            )
            outcome = self._go(rate, checkpoint, degradation)
            if outcome is not None:
                return outcome
            self._clock.stats_collector.broke_off()
            release_memory()
            trim_heap()

    def _go(self, rate: OutputRate, checkpoint: Checkpoint, degradation: Degradation) -> StreamOutcome | None:
        """None where the level changes. Everything that the device was used with is closed then."""
        try:
            with closing(open_backend(self._device, nvenc=self._spec.nvenc)) as backend:
                if backend.device != "cpu":  # a GPU that is short of memory is no reason to leave it
                    self._device = self._device.model_copy(update={"backend": "cuda"})
                return render_stream(
                    StreamJob(
                        self._spec,
                        rate,
                        backend,
                        checkpoint,
                        self._clock,
                        should_stop=self._should_stop,
                        on_frames=lambda frames, t: self._rendered(rate.info, checkpoint, frames, t),
                        degradation=degradation,
                        on_wait=lambda: self._waiting(rate.info, checkpoint, degradation),
                    )
                )
        except LevelChanged:
            return None
        except Exception as error:
            if not degradation.accepts(error):
                raise
            return None

    def _checkpoint(self, info: MediaInfo) -> Checkpoint:
        """The earlier attempt's checkpoint, else a fresh one."""
        models = {model.name: model.sha256 for model in MODELS}
        mark = fingerprint(self._spec, models)
        checkpoint, reason = checkpoints.load(self._spec.work_dir, mark)
        if checkpoint is None:
            return self._fresh_checkpoint(mark, reason)
        if checkpoint.job == self._spec.job_id:
            if checkpoint.segments:  # else it only tells the level, from trouble with the very first one
                self._resume(info, checkpoint)
        elif self._is_of_same_source(checkpoint, info):
            checkpoint.hand_over(self._spec.job_id)
            log.info("job builds on an earlier one's segments", segments=checkpoint.reused_segments)
        else:
            return self._fresh_checkpoint(mark, "the earlier job's source looked the same, but was not")
        return checkpoint

    def _is_of_same_source(self, checkpoint: Checkpoint, info: MediaInfo) -> bool:
        """Whether another job's source was this one, to the last byte: the fingerprint has seen samples only."""
        if not checkpoint.source_sha256:
            return False
        return self._digest.result(on_wait=lambda: self._reading(info)) == checkpoint.source_sha256

    def _reading(self, info: MediaInfo) -> None:
        if self._should_stop():
            raise JobStopped("the job was asked to stop while its source was read")
        share = self._digest.read_bytes / max(1, self._spec.source.stat().st_size)
        self._on_progress(Progress("probe", seconds_done=share * (info.duration_s or 1.0)))

    def _note_digest(self, checkpoint: Checkpoint) -> str:
        """The source's digest, which the checkpoint keeps for later jobs."""
        sha256 = self._digest.result()
        if checkpoint.source_sha256 != sha256:
            checkpoint.source_sha256 = sha256
            checkpoint.save(self._spec.work_dir)
        return sha256

    def _fresh_checkpoint(self, mark: str, reason: str | None) -> Checkpoint:
        """Nothing done yet. ``reason`` says why earlier work is of no use, None where there is none."""
        if reason is None:
            return Checkpoint(mark, self._spec.job_id)
        log.info("job starts over", reason=reason)
        shutil.rmtree(self._spec.paths.segments, ignore_errors=True)
        forget_moments(self._spec.paths.thumbnails)
        self._clock = JobClock()
        return Checkpoint(mark, self._spec.job_id, started_over=[reason])

    def _resume(self, info: MediaInfo, checkpoint: Checkpoint) -> None:
        self._clock.restore(checkpoint.timing)
        video = info.video
        last_pts = checkpoint.next_pts if checkpoint.next_pts is not None else checkpoint.segments[-1].last_pts
        resumed_at_s = round(float((last_pts - checkpoint.segments[0].first_pts) * video.time_base), 3)
        checkpoint.resumed_at_s.append(resumed_at_s)
        log.info("job resumes", at_s=resumed_at_s, frames_done=checkpoint.frames)

    def _assemble(self, info: MediaInfo, checkpoint: Checkpoint, color: ColorTags) -> Assembled:
        return assemble(
            AssemblyOrder(
                paths=self._spec.paths,
                source=self._spec.source,
                info=info,
                checkpoint=checkpoint,
                width=OUTPUT_WIDTH,
                height=OUTPUT_HEIGHT,
                color=color,
                audio=_audio_policy(self._spec.profile),
                should_stop=self._should_stop,
                on_stage=lambda stage, t: self._progress(stage, info, checkpoint.frames, t),
            )
        )

    def _rendered(self, info: MediaInfo, checkpoint: Checkpoint, frames: int, seconds: float) -> None:
        checkpoint.source_sha256 = self._digest.known or checkpoint.source_sha256  # saved with the next segment
        self._progress("render", info, frames, seconds)

    def _waiting(self, info: MediaInfo, checkpoint: Checkpoint, degradation: Degradation) -> None:
        stage = "space" if degradation.lacks_space else "wait"
        self._progress(stage, info, checkpoint.frames, degradation.at_s)

    def _progress(self, stage: str, info: MediaInfo, frames: int, seconds: float) -> None:
        progress = Progress(
            stage=stage,
            frames_done=frames,
            frames_total=info.video.frames_from_header,
            seconds_done=seconds,
            duration_s=info.video.duration_s or info.duration_s,
            fps=self._pace.mark(frames),
            with_debug=self._spec.debug_overlay,
            **self._level(),
        )
        steady = replace(progress, fps=self._steady_pace.mark(frames))
        if progress.duration_s and steady.realtime:
            self._render_s = progress.duration_s / steady.realtime
        self._on_progress(replace(progress, render_s=self._render_s))
        if time.monotonic() - self._told_at >= _TELL_EVERY_S:
            self._told_at = time.monotonic()
            self._on_tally(self._clock.stats_collector.take())

    def _level(self) -> dict[str, Any]:
        degradation = self._degradation
        if degradation is None:
            return {}
        trip = degradation.trip
        return {
            "level": degradation.level.value,
            "level_reason": trip.reason if trip else "",
            "trip": trip.kind.value if trip else "",
            "lacks": degradation.lacks_space,
        }

    def _result(self, evidence: Evidence) -> JobResult:
        report = success_report(self._spec, evidence)
        document = report.to_json()
        preview = self._preview(evidence, document)
        path = self._spec.paths.output("report")
        write_durably(path, orjson.dumps(document, option=orjson.OPT_INDENT_2))
        assembled = evidence.assembled
        return JobResult(
            status=report.status,
            files=Deliverables(assembled.video, path, assembled.tracks, preview, self._debug(evidence)),
            verdict=report.verdict,
            frames=evidence.checkpoint.frames,
            duration_s=assembled.duration_s,
            wall_s=evidence.wall_s,
            facts=facts(report),
        )

    def _preview(self, evidence: Evidence, report: dict[str, Any]) -> Path:
        out = self._spec.paths.output("preview")
        assembled = evidence.assembled
        order = SheetOrder(
            video=assembled.video,
            tracks=assembled.tracks,
            duration_s=assembled.duration_s,
            kept=self._spec.paths.thumbnails,
            identity=report["identity"],
            degradation=report["degradation"],
            warnings=[warned["message"] for warned in report["warnings"]],
        )
        with storage_errors("making the preview"):
            write_preview(out, order)
        return out

    def _debug(self, evidence: Evidence) -> Path | None:
        if not self._spec.debug_overlay:
            return None
        out = self._spec.paths.output("debug")
        write_debug_video(
            out,
            source=self._spec.source,
            rate=evidence.rate,
            audio=evidence.assembled.audio_track,
            tracks=evidence.assembled.tracks,
            last_duration=evidence.checkpoint.segments[-1].last_duration,
            on_frames=lambda frames, t: self._progress("debug", evidence.info, frames, t),
        )
        return out
