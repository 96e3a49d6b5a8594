"""Updating of the metrics from the events of the service and the statistics of the workers."""

from __future__ import annotations

import platform
import time
from collections import Counter
from collections.abc import Set
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from daemon.config.settings import Settings
from daemon.executor.places import job_slots
from daemon.jobs.start_conditions import BlockReason
from daemon.observability.definitions import DEFINITIONS, QUEUES
from daemon.observability.events import AttemptEnded, AttemptStarted, Delivered, Event, JobDeferred, JobFailed, Tick
from daemon.observability.registry import MetricsRegistry
from daemon.pages.warnings_text import warnings_in
from daemon.status.model import NodeLine, ServiceState, severity
from pipeline.telemetry.counters import StatsDelta


class MetricsCollector:
    """An event listener that updates the metrics.

    Attributes:
        metrics: the values; other threads may read them at any time.
    """

    def __init__(self, settings: Settings) -> None:
        self.metrics = MetricsRegistry(DEFINITIONS)
        self._waiting: dict[str, dict[str, int]] = {}
        self._failures_in_a_row = 0
        self._undecodable: set[str] = set()  # jobs that are counted as such
        self.metrics.set("dualface_build_info", 1, _version(), platform.python_version())
        self.metrics.set("dualface_start_timestamp_seconds", time.time())
        self.metrics.set("dualface_job_slots", job_slots(settings))
        self.metrics.set("dualface_vram_guard_ratio", settings.device.vram_guard)
        for idle in ("dualface_failures_in_a_row", "dualface_jobs_running", "dualface_degradation_level"):
            self.metrics.set(idle, 0)
        self._set_state(ServiceState.STARTING)
        self._set_queues()
        self._set_heartbeat()

    def stopped(self) -> None:
        """Set the final values, when the service stops in order."""
        self._set_state(ServiceState.STOPPED)
        self.metrics.set("dualface_up", 0)

    def stats(self, job: str, stats: StatsDelta) -> None:
        """Add the statistics of a worker since its last message."""
        metrics = self.metrics
        metrics.count("dualface_frames_total", by=stats.frames)
        metrics.count("dualface_dropped_frames_total", by=stats.dropped_frames)
        metrics.count("dualface_replaced_frames_total", by=stats.replaced_frames)
        metrics.count("dualface_output_bytes_total", by=stats.output_bytes)
        metrics.histogram("dualface_frame_latency_seconds", stats.latency)
        for stage, seconds in stats.stages.items():
            metrics.histogram("dualface_stage_seconds", seconds, stage)
        for stage, depths in stats.queues.items():
            metrics.histogram("dualface_queue_depth_frames", depths, stage)
        for stage, fills in stats.fills.items():
            metrics.histogram("dualface_queue_fill_ratio", fills, stage)
        for codec in stats.undecodable:
            self._count_undecodable(job, codec)
        self._waiting[job] = stats.waiting

    def notified(self, result: str) -> None:
        """Count a notification by its result, one of ``definitions.NOTIFICATION_RESULTS``."""
        self.metrics.count("dualface_notifications_total", result)

    def __call__(self, event: Event) -> None:
        """Handle an event."""
        match event:
            case AttemptStarted():
                self.metrics.count("dualface_attempts_total")
            case AttemptEnded(outcome=outcome):
                self.metrics.count("dualface_worker_ends_total", type(outcome).__name__.lower())
            case JobDeferred(failure=failure):
                self.metrics.count("dualface_retries_total", failure.code)
            case Delivered(job=job):
                self._undecodable.discard(job.id)
                self._delivered(job.manifest.result or {})
            case JobFailed(job=job):
                self._undecodable.discard(job.id)
                self.metrics.count("dualface_jobs_total", "failed")
                self._count_failures(self._failures_in_a_row + 1)
            case Tick():
                self._tick(event)

    def _delivered(self, result: dict[str, Any]) -> None:
        self.metrics.count("dualface_jobs_total", result.get("status", ""))
        for warned in warnings_in(result.get("facts", {})):
            self.metrics.count("dualface_warnings_total", warned["code"])
        self.metrics.count("dualface_video_seconds_total", by=max(0.0, result.get("duration_s", 0.0)))
        self._count_failures(0)

    def _tick(self, event: Tick) -> None:
        status, condition = event.status, event.condition
        away = condition.block_reason is BlockReason.SHARE_AWAY
        self._set_heartbeat()
        self._set_state(status.state)
        self._set_queues({row.job for row in status.running})
        set_to = self.metrics.set
        if event.slots is not None:  # a reload may change them
            set_to("dualface_job_slots", event.slots)
        set_to("dualface_share_available", 0 if away else 1)
        set_to("dualface_share_free_bytes", condition.free_bytes)
        set_to("dualface_inbox_files", None if away else status.queued, "ready")
        set_to("dualface_inbox_files", None if away else status.settling, "settling")
        set_to("dualface_jobs_running", len(status.running))
        set_to("dualface_jobs_waiting", sum(bool(row.job) for row in status.waiting))
        set_to("dualface_degradation_level", severity(status.level))
        states = Counter(line.state for line in event.hosts if not away)
        self.metrics.replace("dualface_hosts", {(state,): count for state, count in states.items()})
        self._set_nodes(status.nodes)

    # -- details

    def _set_nodes(self, nodes: list[NodeLine]) -> None:
        states = Counter(node.state for node in nodes)
        self.metrics.replace("dualface_cluster_nodes", {(state,): count for state, count in states.items()})
        self.metrics.replace("dualface_node_slots", {(node.node,): node.slots for node in nodes})
        self.metrics.replace("dualface_node_workers", {(node.node,): node.workers for node in nodes})

    def _set_heartbeat(self) -> None:
        self.metrics.set("dualface_up", 1)
        self.metrics.set("dualface_heartbeat_timestamp_seconds", time.time())

    def _set_state(self, state: str) -> None:
        self.metrics.replace("dualface_state", {(each,): float(each == state) for each in ServiceState})

    def _set_queues(self, running: Set[str] = frozenset()) -> None:
        self._waiting = {job: waiting for job, waiting in self._waiting.items() if job in running}
        for stage in QUEUES:
            depths = (waiting.get(stage, 0) for waiting in self._waiting.values())
            self.metrics.set("dualface_queue_depth", max(depths, default=0), stage)

    def _count_undecodable(self, job: str, codec: str) -> None:
        """Count a job once, however many attempts it takes."""
        if job not in self._undecodable:
            self._undecodable.add(job)
            self.metrics.count("dualface_undecodable_jobs_total", codec)

    def _count_failures(self, number: int) -> None:
        self._failures_in_a_row = number
        self.metrics.set("dualface_failures_in_a_row", number)


def _version() -> str:
    try:
        return version("dualface")
    except PackageNotFoundError:
        return "unknown"
