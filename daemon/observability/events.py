"""The events of the service, and the bus that passes them to listeners."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import structlog

from daemon.executor.protocol import Outcome
from daemon.jobs.job import Job
from daemon.jobs.start_conditions import Condition
from daemon.status.model import HostLine, ServiceStatus
from daemon.worker.protocol import Failed

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """A worker has started an attempt."""

    job: Job


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """An attempt has ended, with any outcome."""

    job: Job
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class JobDeferred:
    """An attempt has failed; another one will follow."""

    job: Job
    failure: Failed


@dataclass(frozen=True, slots=True)
class Delivered:
    """A job has been delivered; ``video`` is relative to the share's root."""

    job: Job
    video: str


@dataclass(frozen=True, slots=True)
class JobFailed:
    """A job has failed for good; ``report`` is relative to the share's root."""

    job: Job
    failure: Failed
    report: str


@dataclass(frozen=True, slots=True)
class Tick:
    """The present status of the service, at each turn of its loop.

    Attributes:
        hosts: all services of the share.
        slots: the number of jobs that may run at the same time; None if unchanged.
    """

    status: ServiceStatus
    condition: Condition
    hosts: list[HostLine]
    slots: int | None = None


Event: TypeAlias = AttemptStarted | AttemptEnded | JobDeferred | Delivered | JobFailed | Tick
Listener: TypeAlias = Callable[[Event], None]


class EventBus:
    """Passes events to listeners, in the caller's thread.

    Listeners must not block. A listener that raises is unsubscribed, so that it cannot disturb the work.
    """

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = list(listeners)

    def publish(self, event: Event) -> None:
        """Pass an event to all listeners."""
        for listener in list(self._listeners):
            try:
                listener(event)
            except Exception:
                self._listeners.remove(listener)
                log.exception("a listener failed and is unsubscribed", listener=repr(listener))
