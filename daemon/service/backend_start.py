"""The check of the backend at the start: no job is claimed before a worker has opened it."""

from __future__ import annotations

import selectors
import time

import structlog

from daemon.config.settings import Settings
from daemon.errors import BackendUnusableError, ResourceLimitError
from daemon.executor.protocol import Died, Executor, Outcome
from daemon.jobs.outcome_errors import explain
from daemon.service.signals import StopRequest
from daemon.service.systemd import WatchdogThread
from daemon.worker.protocol import GPU, BackendReady, CheckBackend, Failed

_CHECK = "backend check"
_TICK_S = 1.0  # the watchdog needs a beat in between

log = structlog.get_logger(__name__)


def check_backend(
    settings: Settings,
    executor: Executor,
    selector: selectors.BaseSelector,
    watchdog: WatchdogThread,
    stop: StopRequest,
) -> list[GPU]:
    """Let a short-lived worker open the backend, and return the GPUs that work; none if a stop is requested.

    Raises:
        BackendUnusableError: it cannot be opened, or the check does not end in time.
    """
    executor.start(_CHECK, CheckBackend(settings.device, settings.workers.limits), log)
    deadline = time.monotonic() + settings.workers.start_timeout_s
    outcome: Outcome | None = None
    while outcome is None and not stop:
        watchdog.beat()
        if time.monotonic() > deadline:
            executor.kill(_CHECK)
        selector.select(_TICK_S)
        outcome = next((ended for _, ended in executor.poll()), None)
    if isinstance(outcome, BackendReady):
        sessions = [gpu.nvenc.opened if gpu.nvenc else 0 for gpu in outcome.gpus]
        log.info("backend works", device=outcome.device, gpus=len(outcome.gpus), encoder_sessions=sessions)
        return list(outcome.gpus)
    if outcome is not None:
        raise _unusable(outcome, overdue=time.monotonic() > deadline, settings=settings)
    return []


def _unusable(outcome: Outcome, *, overdue: bool, settings: Settings) -> BackendUnusableError:
    """Return the error for a failed check; the remedies for files do not fit here."""
    failure = explain(outcome)
    if overdue:
        return BackendUnusableError(
            f"The check of the backend did not end within {settings.workers.start_timeout_s:.0f} s.",
            remedy="Find out what delays the machine or the driver, or raise workers.start_timeout_s.",
        )
    if isinstance(outcome, Died) or failure.code == ResourceLimitError.code:
        remedy = "Find out whether workers.limits or a library made the program crash."
        return BackendUnusableError(failure.message, remedy=remedy, doctor_check="limits")
    return BackendUnusableError(failure.message, remedy=failure.remedy if isinstance(outcome, Failed) else None)
