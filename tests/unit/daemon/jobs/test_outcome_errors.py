"""The errors that describe the ends of attempts."""

from __future__ import annotations

import pytest

from daemon.executor.protocol import Died, Outcome, Overdue, Stalled
from daemon.jobs.outcome_errors import explain
from daemon.worker.protocol import Failed, Stopped

BAD_ALLOC = "terminate called after throwing an instance of 'std::bad_alloc' what():  std::bad_alloc"
BROKEN = Failed("NOT_MEDIA", "no video", "export again")


@pytest.mark.parametrize(
    ("outcome", "code", "message"),
    [
        (BROKEN, "NOT_MEDIA", "no video"),
        (Died("SIGKILL", -9), "WORKER_DIED", "SIGKILL"),
        (Died("", 3, "bye"), "WORKER_DIED", "exit status 3: bye"),
        (Died("SIGABRT", -6, BAD_ALLOC), "OUT_OF_MEMORY", "std::bad_alloc"),
        (Died("SIGXCPU", -24), "RESOURCE_LIMIT", "cpu_s"),
        (Overdue(), "RESOURCE_LIMIT", "wall_s"),
        (Stalled(300), "WORKER_STALLED", "300 seconds"),
        (Stopped(), "WORKER_DIED", "without a result"),
    ],
)
def test_every_end_without_a_result_is_explained(outcome: Outcome, code: str, message: str) -> None:
    failure = explain(outcome)
    assert failure.code == code
    assert message in failure.message
