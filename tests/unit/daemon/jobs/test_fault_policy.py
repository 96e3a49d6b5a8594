"""When a job is retried, deferred, runs alone, or fails: decisions without a share, a worker or a clock."""

from __future__ import annotations

import math

import pytest

from daemon.errors import ShareAwayError
from daemon.executor.protocol import Died, Outcome, Overdue, Stalled
from daemon.jobs.fault_policy import (
    Action,
    FaultCounts,
    FaultPolicy,
    attribute,
    is_work,
    longest_wait_s,
    may_retry_at_once,
    place_to_avoid,
    runs_alone,
)
from daemon.worker.protocol import Failed, Finished, Stopped

KILLED = Died("SIGKILL", -9)
FULL = Failed("DISK_FULL", "full", "free space", retryable=True, environmental=True)
BROKEN = Failed("NOT_MEDIA", "no video", "export again")
FINISHED = Finished("succeeded", "fine", {}, 1, 1.0, 1.0)
AWAY = Failed.of(ShareAwayError("It has gone."))
POLICY = FaultPolicy(max_attempts=3)


def actions(outcome: Outcome, times: int, *, progressed: bool = False) -> list[tuple[Action, FaultCounts]]:
    """The decisions after the same outcome several times in a row."""
    counts, taken = FaultCounts(), []
    for _ in range(times):
        decision = POLICY.after_attempt(counts, outcome, progressed=progressed)
        counts = decision.counts
        taken.append((decision.action, counts))
    return taken


def test_success_leads_to_delivery() -> None:
    decision = POLICY.after_attempt(FaultCounts(2, 1), FINISHED, progressed=False)
    assert (decision.action, decision.result, decision.attempt_counts) == (Action.DELIVER, FINISHED, True)


@pytest.mark.parametrize("outcome", [KILLED, Stalled(300)])
def test_three_failures_without_progress_are_the_end(outcome: Outcome) -> None:
    taken = actions(outcome, 3)
    assert [action for action, _ in taken] == [Action.RETRY, Action.RETRY, Action.FAIL]
    assert [runs_alone(counts) for _, counts in taken] == [False, True, True]


def test_progress_starts_the_count_again() -> None:
    assert set(actions(KILLED, 20, progressed=True)) == {(Action.RETRY, FaultCounts(failures=1))}


def test_the_file_s_own_fault_is_final_at_once() -> None:
    decision = POLICY.after_attempt(FaultCounts(), BROKEN, progressed=False)
    assert (decision.action, decision.failure) == (Action.FAIL, BROKEN)


def test_trouble_of_the_environment_costs_no_attempt() -> None:
    assert set(actions(FULL, 50)) == {(Action.DEFER, FaultCounts())}
    assert not POLICY.after_attempt(FaultCounts(), FULL, progressed=False).attempt_counts


def test_an_orderly_stop_costs_no_attempt() -> None:
    decision = POLICY.after_attempt(FaultCounts(1, 1), Stopped(), progressed=False)
    assert (decision.action, decision.counts, decision.attempt_counts) == (Action.RESUME, FaultCounts(1, 1), False)


def test_a_file_that_takes_the_whole_service_down_is_given_up_late() -> None:
    counts = FaultCounts()
    for count in range(1, 15):
        decision = POLICY.after_crash(counts, progressed=False)
        counts = decision.counts
        assert (decision.action, decision.attempt_counts) == (Action.RESUME, True)
        assert runs_alone(counts) == (count >= 2)
    last = POLICY.after_crash(counts, progressed=False)
    assert last.failure is not None
    assert (last.action, last.failure.code) == (Action.FAIL, "WORKER_DIED")
    assert POLICY.after_crash(counts, progressed=True).counts == FaultCounts(0, 1)


@pytest.mark.parametrize(
    ("failure", "must_complete", "action"),
    [(BROKEN, False, Action.FAIL), (BROKEN, True, Action.DEFER), (FULL, False, Action.DEFER)],
)
def test_trouble_on_delivery_fails_a_job_unless_a_file_may_be_visible(
    failure: Failed, must_complete: bool, action: Action
) -> None:
    assert POLICY.after_trouble(failure, must_complete=must_complete) is action


@pytest.mark.parametrize(
    ("outcome", "stopping", "away", "expected"),
    [
        (KILLED, False, None, KILLED),
        (KILLED, True, None, Stopped()),
        (Stalled(9), True, AWAY, Stopped()),
        (KILLED, False, AWAY, AWAY),
        (BROKEN, True, AWAY, AWAY),
        (Overdue(), True, AWAY, Overdue()),
        (FINISHED, True, AWAY, FINISHED),
    ],
)
def test_a_job_is_not_accountable_for_a_stop_or_for_the_share(
    outcome: Outcome, stopping: bool, away: Failed | None, expected: Outcome
) -> None:
    assert attribute(outcome, stopping=stopping, share_failure=lambda: away) == expected


def test_trouble_of_the_storage_is_waited_for_shortly_and_is_no_work() -> None:
    assert [longest_wait_s(code) for code in ("DISK_FULL", "STORAGE", "SHARE_SPLIT", "X")] == [30, 30, 30, math.inf]
    assert [is_work(outcome) for outcome in (FULL, AWAY, BROKEN, KILLED)] == [False, False, True, True]
    assert [may_retry_at_once(code) for code in ("SHARE_AWAY", "STORAGE", "")] == [True, False, False]


def test_after_trouble_another_gpu_is_better() -> None:
    assert [place_to_avoid(("a", 1), code) for code in ("WORKER_DIED", "")] == [("a", 1), None]
