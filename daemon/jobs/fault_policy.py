"""What follows from the end of an attempt or from trouble in between: pure decisions, which change nothing.

A job fails after ``max_attempts`` failures in a row. An attempt that has written a new checkpoint starts the count
again: a long file survives many accidents, a file that always kills its worker at one place does not. The death of
the whole service may be the file's fault (memory), but mostly is not, so it counts less.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum

from daemon.backoff import SOON_S
from daemon.errors import ShareAwayError, SplitShareError, WorkerDiedError
from daemon.executor.protocol import Died, Outcome, PlaceKey, Stalled
from daemon.jobs.outcome_errors import explain
from daemon.worker.protocol import Failed, Finished, Stopped
from pipeline.errors import DiskFullError, StorageError

_ALONE_FROM = 2  # failures or interruptions in a row
_INTERRUPTIONS_PER_ATTEMPT = 5
_STORAGE_CODES = {error.code for error in (DiskFullError, StorageError, ShareAwayError, SplitShareError)}


class Action(Enum):
    """What to do with a job next."""

    DELIVER = "deliver"
    RESUME = "resume"  # start again as soon as a slot is free
    RETRY = "retry"  # start again after a back-off
    DEFER = "defer"  # the same, but the attempt does not count
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class FaultCounts:
    """The counts on which decisions depend.

    Attributes:
        failures: failed attempts in a row without a new checkpoint.
        interruptions: how often in a row the whole service died during an attempt.
    """

    failures: int = 0
    interruptions: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision about a job, with the counts from now on.

    Attributes:
        attempt_counts: whether the attempt stays in the manifest's number of attempts.
        result: of an attempt that has finished; failure: of one that has not.
    """

    action: Action
    counts: FaultCounts
    attempt_counts: bool = True
    result: Finished | None = None
    failure: Failed | None = None


@dataclass(frozen=True, slots=True)
class FaultPolicy:
    """Decides whether a job is retried, deferred, delivered or failed.

    Args:
        max_attempts: failures in a row after which a job fails.
    """

    max_attempts: int

    def after_attempt(self, counts: FaultCounts, outcome: Outcome, *, progressed: bool) -> Decision:
        """Decide what follows from the end of an attempt.

        Args:
            progressed: whether the attempt has written a new checkpoint.
        """
        counts = FaultCounts() if progressed else counts
        if isinstance(outcome, Finished):
            return Decision(Action.DELIVER, counts, result=outcome)
        if isinstance(outcome, Stopped):
            return Decision(Action.RESUME, counts, attempt_counts=False)
        failure = explain(outcome)
        if failure.environmental:
            return Decision(Action.DEFER, counts, attempt_counts=False, failure=failure)
        counts = replace(counts, failures=counts.failures + 1)
        is_final = not failure.retryable or counts.failures >= self.max_attempts
        return Decision(Action.FAIL if is_final else Action.RETRY, counts, failure=failure)

    def after_crash(self, counts: FaultCounts, *, progressed: bool) -> Decision:
        """Decide what follows from the death of the service during an attempt."""
        counts = FaultCounts() if progressed else counts
        counts = replace(counts, interruptions=counts.interruptions + 1)
        times = counts.interruptions
        if times < self.max_attempts * _INTERRUPTIONS_PER_ATTEMPT:
            return Decision(Action.RESUME, counts)
        error = WorkerDiedError(f"The service died {times} times while it worked on this file.")
        return Decision(Action.FAIL, counts, failure=Failed.of(error))

    def after_trouble(self, failure: Failed, *, must_complete: bool) -> Action:
        """Decide what follows from trouble outside of an attempt, such as on delivery.

        Args:
            must_complete: whether the job's present step must be completed in any case, such as a delivery of which
                one file may be visible already.
        """
        return Action.DEFER if failure.environmental or must_complete else Action.FAIL


def attribute(outcome: Outcome, *, stopping: bool, share_failure: Callable[[], Failed | None]) -> Outcome:
    """Return the outcome that the job is accountable for.

    Args:
        stopping: whether the service stops, and so kills workers that take too long.
        share_failure: looks at the share; the failure if it is away, to which any trouble is then attributed.
    """
    if stopping and isinstance(outcome, Died | Stalled):
        return Stopped()
    if isinstance(outcome, Failed | Died | Stalled):
        return share_failure() or outcome
    return outcome


def runs_alone(counts: FaultCounts) -> bool:
    """Return whether a job failed so often that no other job may suffer from its next failure."""
    return counts.failures >= _ALONE_FROM or counts.interruptions >= _ALONE_FROM


def place_to_avoid(last: PlaceKey, waiting_for: str) -> PlaceKey | None:
    """Return the place that a job should not get, because its attempt there ended in trouble.

    Args:
        last: where the last attempt ran.
        waiting_for: error code for which the job has waited, "" if none.
    """
    return last if waiting_for else None


def longest_wait_s(code: str) -> float:
    """Return the upper limit of the back-off after an error: short for storage, whose trouble may end at any time."""
    return SOON_S if code in _STORAGE_CODES else math.inf


def may_retry_at_once(code: str) -> bool:
    """Return whether the back-off may be cut short: the service asks only after the share has come back."""
    return code == ShareAwayError.code


def is_work(outcome: Outcome) -> bool:
    """Return whether the attempt's time counts as work; a wait for storage does not."""
    return not (isinstance(outcome, Failed) and outcome.code in _STORAGE_CODES)
