"""Runs one job from its source to its finished files."""

from __future__ import annotations

import time

from engines.errors import ExplainedError
from engines.media.probe import probe
from pipeline.allocator import configure_allocator, keep_in_heap
from pipeline.durable import storage_errors
from pipeline.errors import PipelineError
from pipeline.fingerprint import FileDigest
from pipeline.finishing import Finishing
from pipeline.interruption import Interruption, OwnershipCheck, StopRequest
from pipeline.job import JobResult, JobSpec, ProgressCallback, StatsCallback
from pipeline.joining import join_parts, with_warnings_of_parts
from pipeline.limits import check_limits
from pipeline.progress import ProgressReporter
from pipeline.render_loop import GatherCrew, RenderLoop
from pipeline.rendering.frame_rate import output_rate
from pipeline.rendering.lookahead import surface_bytes
from pipeline.resume import find_checkpoint
from pipeline.telemetry.timing import JobTelemetry


def run_job(
    spec: JobSpec,
    *,
    on_progress: ProgressCallback,
    should_stop: StopRequest,
    confirm_ownership: OwnershipCheck = lambda: None,
    on_stats: StatsCallback = lambda _: None,
    gather_crew: GatherCrew | None = None,
) -> JobResult:
    """Do one job, from its checkpoint if there is a valid one.

    Args:
        on_progress: called several times a second while the job makes progress, from one thread.
        should_stop: called at segment boundaries; after it returns true, the job saves its checkpoint and raises
            JobStopped.
        confirm_ownership: called before files are written; raises an error if the job belongs to another host now.
        on_stats: called about once a second and at the end with what was counted since the last call, from one thread.
        gather_crew: returns workers that share the work on the parts of the recording; None: it is not split.

    Returns:
        The finished files, in the work directory.

    Raises:
        ExplainedError: what went wrong, for people; JobStopped if a stop was requested.
    """
    configure_allocator()
    telemetry, interruption = JobTelemetry(), Interruption(should_stop, confirm_ownership)
    reporter = ProgressReporter(spec, telemetry, on_progress, on_stats)
    try:
        with storage_errors("working on the job"):
            spec = join_parts(spec, reporter.report_probe, interruption)
            return _run(spec, telemetry, interruption, reporter, gather_crew)
    except ExplainedError:
        raise
    except Exception as exc:
        raise PipelineError(f"The program failed: {type(exc).__name__}: {exc}") from exc


def _run(
    spec: JobSpec,
    telemetry: JobTelemetry,
    interruption: Interruption,
    reporter: ProgressReporter,
    gather_crew: GatherCrew | None,
) -> JobResult:
    begin = time.monotonic()
    try:
        reporter.report_probe()
        source = with_warnings_of_parts(probe(spec.source, max_pixels=spec.limits.pixels), spec)
        check_limits(source, spec.limits)
        rate = output_rate(source, spec.profile)
        keep_in_heap(surface_bytes(rate.info.video))
        digest = FileDigest(spec.source)

        def while_reading() -> None:
            interruption.check("while its source was read")
            share = digest.read_bytes / max(1, spec.source.stat().st_size)
            reporter.report_probe(share * (rate.info.duration_s or 1.0))

        checkpoint = find_checkpoint(spec, rate.info, digest, telemetry, while_reading)
        rendered = RenderLoop(
            spec,
            rate,
            digest,
            telemetry=telemetry,
            interruption=interruption,
            reporter=reporter,
            gather_crew=gather_crew,
        ).run(checkpoint)
        return Finishing(spec, rate, rendered, digest, telemetry, interruption, reporter, begin).run()
    finally:
        reporter.send_stats()
