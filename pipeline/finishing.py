"""Makes the files that are delivered from a job's finished segments: video, tracks, report, preview, debug video."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.audio.policy import AudioPolicy
from engines.registry import open_backend
from engines.settings import DeviceSettings
from pipeline.durable import storage_errors
from pipeline.fingerprint import FileDigest
from pipeline.interruption import Interruption
from pipeline.job import Deliverables, JobResult, JobSpec
from pipeline.progress import ProgressReporter
from pipeline.render_loop import Rendered
from pipeline.rendering.frame_rate import OutputRate
from pipeline.rendering.stream import OUTPUT_HEIGHT, OUTPUT_WIDTH
from pipeline.report.common import facts
from pipeline.report.contact_sheet import SheetOrder, write_preview
from pipeline.report.debug_video import write_debug_video
from pipeline.report.doubts import places_to_check, request_to_check
from pipeline.report.success import FinishedJob, success_report
from pipeline.report.writer import write_report
from pipeline.segments.assemble import Assembled, AssemblyOrder, assemble
from pipeline.telemetry.timing import JobTelemetry


@dataclass(frozen=True, slots=True)
class Finishing:
    """The last steps of one job.

    Attributes:
        digest: of the source.
        begin: when this attempt began, on the monotonic clock.
    """

    spec: JobSpec
    rate: OutputRate
    rendered: Rendered
    digest: FileDigest
    telemetry: JobTelemetry
    interruption: Interruption
    reporter: ProgressReporter
    begin: float

    def run(self) -> JobResult:
        """Make all files, as soon as the disk has space for them.

        Raises:
            JobStopped: a stop is requested; the next attempt begins again with the finished segments.
            DiskFullError: there is not enough space.
            ExplainedError: what a step raised.
        """
        checkpoint, degradation = self.rendered.checkpoint, self.rendered.degradation
        while True:
            degradation.wait_for_space(
                self.interruption,
                lambda: self.reporter.report_wait(self.rate.info, checkpoint, degradation),
                sum(segment.bytes for segment in checkpoint.segments),
                "the finished video",
            )
            try:
                return self._make_files()
            except Exception as error:
                if not degradation.is_lack_of_space(error):
                    raise

    def _make_files(self) -> JobResult:
        assembled = self._assemble()
        finished = FinishedJob(
            rate=self.rate,
            sha256=self._source_digest(),
            checkpoint=self.rendered.checkpoint,
            telemetry=self.telemetry,
            outcome=self.rendered.outcome,
            assembled=assembled,
            width=OUTPUT_WIDTH,
            height=OUTPUT_HEIGHT,
            wall_s=self.rendered.earlier_wall_s + time.monotonic() - self.begin,
        )
        report = success_report(self.spec, finished)
        document = report.to_json()
        preview = self._make_preview(assembled, document)
        report_path = self.spec.paths.output("report")
        write_report(report_path, document)
        debug = self._make_debug_video(assembled) if self.spec.debug_overlay else None
        return JobResult(
            status=report.status,
            files=Deliverables(assembled.video, report_path, assembled.tracks, preview, debug),
            verdict=report.verdict,
            frames=self.rendered.checkpoint.frames,
            duration_s=assembled.duration_s,
            wall_s=finished.wall_s,
            facts=facts(report),
        )

    def _assemble(self) -> Assembled:
        profile, checkpoint = self.spec.profile, self.rendered.checkpoint
        return assemble(
            AssemblyOrder(
                paths=self.spec.paths,
                source=self.spec.source,
                info=self.rate.info,
                checkpoint=checkpoint,
                width=OUTPUT_WIDTH,
                height=OUTPUT_HEIGHT,
                color=self.rendered.outcome.color,
                audio=AudioPolicy(profile.audio, None if profile.loudness_lufs == "source" else profile.loudness_lufs),
                interruption=self.interruption,
                on_stage=lambda stage, seconds: self._report(stage, checkpoint.frames, seconds),
            )
        )

    def _source_digest(self) -> str:
        """Return the digest of the source, and keep it in the checkpoint for later jobs."""
        checkpoint, sha256 = self.rendered.checkpoint, self.digest.result()
        if checkpoint.source_sha256 != sha256:
            checkpoint.set_source_digest(sha256)
            checkpoint.save(self.spec.work_dir)
        return sha256

    def _make_preview(self, assembled: Assembled, report: dict[str, Any]) -> Path:
        path = self.spec.paths.output("preview")
        requests = [request_to_check([place]) for place in places_to_check(report["identity"].get("doubts", []))]
        order = SheetOrder(
            video=assembled.video,
            tracks=assembled.tracks,
            duration_s=assembled.duration_s,
            thumbnails=self.spec.paths.thumbnails,
            identity=report["identity"],
            degradation=report["degradation"],
            warnings=[*requests, *(warned["message"] for warned in report["warnings"])],
            is_single=report["output"]["layout"] == "single",
        )
        with storage_errors("making the preview"):
            write_preview(path, order)
        return path

    def _make_debug_video(self, assembled: Assembled) -> Path:
        """Draw the debug video on the CPU whatever the job's device is, as the drawing needs frames in host memory."""
        path = self.spec.paths.output("debug")
        with closing(open_backend(DeviceSettings(backend="cpu"))) as backend:
            write_debug_video(
                path,
                backend=backend,
                source=self.spec.source,
                rate=self.rate,
                audio=assembled.audio_scan,
                tracks=assembled.tracks,
                last_duration=self.rendered.checkpoint.segments[-1].last_duration,
                on_frames=lambda frames, seconds: self._report("debug", frames, seconds),
            )
        return path

    def _report(self, stage: str, frames: int, seconds: float) -> None:
        self.reporter.report(stage, self.rate.info, frames, seconds, self.rendered.degradation)
