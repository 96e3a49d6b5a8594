"""The error that describes why an attempt failed."""

from __future__ import annotations

from daemon.errors import (
    DaemonError,
    NodeLostError,
    OutOfMemoryError,
    ResourceLimitError,
    ShareAwayError,
    WorkerDiedError,
    WorkerStalledError,
)
from daemon.executor.protocol import Died, Outcome, Overdue, Stalled
from daemon.share.share import Share
from daemon.worker.protocol import Failed

_LIMITS = {"SIGXCPU": "cpu_s", "SIGXFSZ": "file_bytes"}  # signals that the kernel sends at a limit
_MEMORY_WORDS = ("std::bad_alloc", "MemoryError", "Cannot allocate memory", "out of memory")  # printed by libraries


def explain(outcome: Outcome) -> Failed:
    """Return the error for the end of an attempt that has no result."""
    if isinstance(outcome, Failed):
        return outcome
    if isinstance(outcome, Stalled):
        return Failed.of(WorkerStalledError(f"Nothing moved for {outcome.seconds:.0f} seconds."))
    if isinstance(outcome, Overdue):
        return Failed.of(ResourceLimitError.of("wall_s"))
    if isinstance(outcome, Died):
        return Failed.of(_death(outcome))
    return Failed.of(WorkerDiedError("The worker process ended without a result."))


def share_failure(share: Share) -> Failed | None:
    """Return the failure to which any trouble is attributed while the share is away; None while it is there."""
    try:
        share.identity()
    except ShareAwayError as exc:
        return Failed.of(exc)
    return None


def _death(died: Died) -> DaemonError:
    if died.may_still_run:
        return NodeLostError(f"The worker is out of reach ({died.last_output}).")
    if died.signal_name in _LIMITS:
        return ResourceLimitError.of(_LIMITS[died.signal_name])
    how = ": ".join(filter(None, [died.signal_name or f"exit status {died.exit_status}", died.last_output]))
    if any(word in died.last_output for word in _MEMORY_WORDS):
        return OutOfMemoryError(f"The worker process ran out of memory and died ({how}).")
    return WorkerDiedError(f"The worker process died ({how}).")
