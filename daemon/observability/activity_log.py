"""A summary line in the journal, once a minute while there is work."""

from __future__ import annotations

import structlog

from daemon.clock import Clock
from daemon.observability.events import Delivered, Event, JobFailed, Tick
from daemon.status.model import ServiceStatus

_EVERY_S = 60.0

log = structlog.get_logger(__name__)


class ActivityLog:
    """An event listener that logs a summary of the last minute."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due: float | None = None
        self._delivered = self._failed = 0

    def __call__(self, event: Event) -> None:
        if isinstance(event, Delivered):
            self._delivered += 1
        elif isinstance(event, JobFailed):
            self._failed += 1
        elif isinstance(event, Tick):
            self._write_if_due(event.status)

    def _write_if_due(self, status: ServiceStatus) -> None:
        now_s = self._clock()
        busy = bool(status.running or self._delivered or self._failed)
        if not busy:
            self._due = None
        elif self._due is None:
            self._due = now_s + _EVERY_S
        elif now_s >= self._due:
            self._due += _EVERY_S
            self._write(status)

    def _write(self, status: ServiceStatus) -> None:
        log.info(
            "summary",
            running=len(status.running),
            jobs=[job.line() for job in status.running],
            fps=round(sum(job.fps for job in status.running), 1),
            queue=status.queued + len(status.waiting),
            arriving=status.settling,
            level=status.level,
            delivered=self._delivered,
            failed=self._failed,
        )
        self._delivered = self._failed = 0
