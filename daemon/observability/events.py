"""Who is told what the service does, and how none of them can disturb it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import structlog

from daemon.jobs.job import Job
from daemon.jobs.start_conditions import Condition
from daemon.status.model import HostLine, ServiceStatus
from daemon.worker.pool import Outcome
from daemon.worker.protocol import Failed

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """A worker begins an attempt."""

    job: Job


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """An attempt has ended, well or badly."""

    job: Job
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class JobDeferred:
    """The job will be tried again."""

    job: Job
    failure: Failed


@dataclass(frozen=True, slots=True)
class Delivered:
    """The job is done; ``video`` is relative to the share's root."""

    job: Job
    video: str


@dataclass(frozen=True, slots=True)
class JobFailed:
    """The job has failed for good; ``report`` is relative to the share's root."""

    job: Job
    failure: Failed
    report: str


@dataclass(frozen=True, slots=True)
class Tick:
    """How the service stands; told at every turn of its loop.

    Attributes:
        hosts: all services of the share.
        slots: jobs that may run side by side; None: as before.
    """

    board: ServiceStatus
    condition: Condition
    hosts: list[HostLine]
    slots: int | None = None


Event: TypeAlias = AttemptStarted | AttemptEnded | JobDeferred | Delivered | JobFailed | Tick
Listener: TypeAlias = Callable[[Event], None]


class EventBus:
    """All listeners; none may wait. One that fails hears nothing more: work is worth more than what is said of it."""

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = list(listeners)

    def tell(self, event: Event) -> None:
        for listener in list(self._listeners):
            try:
                listener(event)
            except Exception:
                self._listeners.remove(listener)
                log.exception("a listener failed and hears nothing more", listener=repr(listener))
