"""One line a minute in the journal while there is work, none while there is not."""

from __future__ import annotations

import structlog

from daemon.clock import Clock
from daemon.observability.events import Delivered, Event, JobFailed, Tick
from daemon.status.model import ServiceStatus

_EVERY_S = 60.0

log = structlog.get_logger(__name__)


class Summary:
    """Listens to what the service does and sums it up."""

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
            self._look(event.board)

    def _look(self, board: ServiceStatus) -> None:
        now = self._clock()
        busy = bool(board.running or self._delivered or self._failed)
        if not busy:
            self._due = None
        elif self._due is None:
            self._due = now + _EVERY_S
        elif now >= self._due:
            self._due += _EVERY_S
            self._write(board)

    def _write(self, board: ServiceStatus) -> None:
        log.info(
            "summary",
            running=len(board.running),
            jobs=[job.line() for job in board.running],
            fps=round(sum(job.fps for job in board.running), 1),
            queue=board.queued + len(board.waiting),
            arriving=board.settling,
            level=board.level,
            delivered=self._delivered,
            failed=self._failed,
        )
        self._delivered = self._failed = 0
