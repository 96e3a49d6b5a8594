"""Reports the progress and the statistics of a running job to its caller."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from engines.frames import MediaInfo
from pipeline.degradation.controller import Degradation
from pipeline.job import JobSpec, Progress, ProgressCallback, StatsCallback
from pipeline.segments.checkpoint import Checkpoint
from pipeline.telemetry.throughput import Throughput
from pipeline.telemetry.timing import JobTelemetry

_STATS_EVERY_S = 1.0


class ProgressReporter:
    """Calls ``on_progress`` at each report, and ``on_stats`` about once a second, from the calling thread."""

    def __init__(
        self, spec: JobSpec, telemetry: JobTelemetry, on_progress: ProgressCallback, on_stats: StatsCallback
    ) -> None:
        self._with_debug = spec.debug_overlay
        self._telemetry = telemetry
        self._on_progress = on_progress
        self._on_stats = on_stats
        self._stats_sent_at = time.monotonic()
        self._throughput = Throughput()
        self._steady_throughput = Throughput(window_s=60.0, least_s=3.0)  # for a remaining time that does not jump
        self._render_s: float | None = None

    def report_probe(self, seconds_done: float = 0.0) -> None:
        """Report that the source is examined, or read up to a time in seconds."""
        self._on_progress(Progress("probe", seconds_done=seconds_done))

    def report_wait(self, info: MediaInfo, checkpoint: Checkpoint, degradation: Degradation) -> None:
        """Report that the job waits for the device or for disk space."""
        stage = "space" if degradation.space_shortage else "wait"
        self.report(stage, info, checkpoint.frames, degradation.at_s, degradation)

    def report(self, stage: str, info: MediaInfo, frames: int, seconds: float, degradation: Degradation) -> None:
        """Report how far a stage of ``Progress.stage`` is.

        Args:
            frames: number of output frames that are done.
            seconds: time of the last of them.
        """
        progress = Progress(
            stage=stage,
            frames_done=frames,
            seconds_done=seconds,
            duration_s=info.video.duration_s or info.duration_s,
            fps=self._throughput.update(frames),
            with_debug=self._with_debug,
            **_level_fields(degradation),
        )
        steady = replace(progress, fps=self._steady_throughput.update(frames))
        if progress.duration_s and steady.realtime:
            self._render_s = progress.duration_s / steady.realtime
        self._on_progress(replace(progress, render_s=self._render_s))
        if time.monotonic() - self._stats_sent_at >= _STATS_EVERY_S:
            self.send_stats()

    def send_stats(self) -> None:
        """Send what has been counted since the last time."""
        self._stats_sent_at = time.monotonic()
        self._on_stats(self._telemetry.stats_collector.take_delta())


def _level_fields(degradation: Degradation) -> dict[str, Any]:
    trigger = degradation.trigger
    return {
        "level": degradation.level.value,
        "level_reason": trigger.reason if trigger else "",
        "trip": trigger.kind.value if trigger else "",
        "lacks": degradation.space_shortage,
    }
