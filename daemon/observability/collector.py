"""From what happens in the service to its metrics."""

from __future__ import annotations

import platform
import time
from collections import Counter
from collections.abc import Set
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from daemon.config.settings import Settings
from daemon.jobs.job_spec import job_slots
from daemon.jobs.start_conditions import BlockReason
from daemon.observability.definitions import DEFINITIONS, QUEUES
from daemon.observability.events import AttemptEnded, AttemptStarted, Delivered, Event, JobDeferred, JobFailed, Tick
from daemon.observability.registry import Meters
from daemon.pages.warnings_text import warnings_in
from daemon.status.model import severity
from daemon.status.store import STATES
from pipeline.telemetry.counters import StatsDelta


class Recorder:
    """Writes the meters; others read them at any time, from other threads."""

    def __init__(self, settings: Settings) -> None:
        self.meters = Meters(DEFINITIONS)
        self._waiting: dict[str, dict[str, int]] = {}
        self._failures_in_a_row = 0
        self._undecodable: set[str] = set()  # jobs that are counted as such
        self.meters.set("dualface_build_info", 1, _version(), platform.python_version())
        self.meters.set("dualface_start_timestamp_seconds", time.time())
        self.meters.set("dualface_job_slots", job_slots(settings))
        self.meters.set("dualface_vram_guard_ratio", settings.device.vram_guard)
        for idle in ("dualface_failures_in_a_row", "dualface_jobs_running", "dualface_degradation_level"):
            self.meters.set(idle, 0)
        self._show_state("starting")
        self._show_queues()
        self._beat()

    def stopped(self) -> None:
        """The last word of a service that stops in order."""
        self._show_state("stopped")
        self.meters.set("dualface_up", 0)

    def stats(self, job: str, stats: StatsDelta) -> None:
        """Add what a worker has done since it last told."""
        meters = self.meters
        meters.count("dualface_frames_total", by=stats.frames)
        meters.count("dualface_dropped_frames_total", by=stats.dropped_frames)
        meters.count("dualface_replaced_frames_total", by=stats.replaced_frames)
        meters.count("dualface_output_bytes_total", by=stats.output_bytes)
        meters.histogram("dualface_frame_latency_seconds", stats.latency)
        for stage, seconds in stats.stages.items():
            meters.histogram("dualface_stage_seconds", seconds, stage)
        for stage, depths in stats.queues.items():
            meters.histogram("dualface_queue_depth_frames", depths, stage)
        for stage, fills in stats.fills.items():
            meters.histogram("dualface_queue_fill_ratio", fills, stage)
        for codec in stats.undecodable:
            self._count_undecodable(job, codec)
        self._waiting[job] = stats.waiting

    def notified(self, result: str) -> None:
        """A notification was sent, held back and so on."""
        self.meters.count("dualface_notifications_total", result)

    def __call__(self, event: Event) -> None:
        """Something has happened in the service (a listener of it)."""
        match event:
            case AttemptStarted():
                self.meters.count("dualface_attempts_total")
            case AttemptEnded(outcome=outcome):
                self.meters.count("dualface_worker_ends_total", type(outcome).__name__.lower())
            case JobDeferred(failure=failure):
                self.meters.count("dualface_retries_total", failure.code)
            case Delivered(job=job):
                self._undecodable.discard(job.id)
                self._delivered(job.manifest.result or {})
            case JobFailed(job=job):
                self._undecodable.discard(job.id)
                self.meters.count("dualface_jobs_total", "failed")
                self._count_failures(self._failures_in_a_row + 1)
            case Tick():
                self._shown(event)

    def _delivered(self, result: dict[str, Any]) -> None:
        self.meters.count("dualface_jobs_total", result.get("status", ""))
        for warned in warnings_in(result.get("facts", {})):
            self.meters.count("dualface_warnings_total", warned["code"])
        self.meters.count("dualface_video_seconds_total", by=max(0.0, result.get("duration_s", 0.0)))
        self._count_failures(0)

    def _shown(self, event: Tick) -> None:
        board, condition = event.board, event.condition
        away = condition.block_reason is BlockReason.SHARE_AWAY
        self._beat()
        self._show_state(board.state)
        self._show_queues({row.job for row in board.running})
        set_to = self.meters.set
        if event.slots is not None:  # a reload may change them
            set_to("dualface_job_slots", event.slots)
        set_to("dualface_share_available", 0 if away else 1)
        set_to("dualface_share_free_bytes", condition.free_bytes)
        set_to("dualface_inbox_files", None if away else board.queued, "ready")
        set_to("dualface_inbox_files", None if away else board.settling, "settling")
        set_to("dualface_jobs_running", len(board.running))
        set_to("dualface_jobs_waiting", sum(bool(row.job) for row in board.waiting))
        set_to("dualface_degradation_level", severity(board.level))
        states = Counter(line.state for line in event.hosts if not away)
        self.meters.replace("dualface_hosts", {(state,): count for state, count in states.items()})

    # -- details

    def _beat(self) -> None:
        self.meters.set("dualface_up", 1)
        self.meters.set("dualface_heartbeat_timestamp_seconds", time.time())

    def _show_state(self, state: str) -> None:
        self.meters.replace("dualface_state", {(each,): float(each == state) for each in STATES})

    def _show_queues(self, running: Set[str] = frozenset()) -> None:
        self._waiting = {job: waiting for job, waiting in self._waiting.items() if job in running}
        for stage in QUEUES:
            depths = (waiting.get(stage, 0) for waiting in self._waiting.values())
            self.meters.set("dualface_queue_depth", max(depths, default=0), stage)

    def _count_undecodable(self, job: str, codec: str) -> None:
        """Once for a job, however many attempts it takes."""
        if job not in self._undecodable:
            self._undecodable.add(job)
            self.meters.count("dualface_undecodable_jobs_total", codec)

    def _count_failures(self, number: int) -> None:
        self._failures_in_a_row = number
        self.meters.set("dualface_failures_in_a_row", number)


def _version() -> str:
    try:
        return version("dualface")
    except PackageNotFoundError:
        return "unknown"
