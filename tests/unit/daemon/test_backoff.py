"""Back-off: grows, stays within bounds, and is forgotten after a success."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from daemon.backoff import Backoff
from daemon.config.settings import RetrySettings
from daemon.errors import ShareAwayError
from daemon.jobs.held_jobs import HeldJobs
from daemon.worker.protocol import Failed
from pipeline.errors import StorageError
from tests.support.share import claimed, make_share, settings_for


@given(st.integers(0, 200))
def test_wait_is_within_its_bounds(failures: int) -> None:
    backoff = Backoff(RetrySettings(first_s=2, longest_s=60), lambda: 0.0, failures=failures)
    ceiling = min(60, 2 * 2**failures)
    assert ceiling / 2 <= backoff.fail() <= ceiling


def test_due_again_after_the_wait_and_after_a_success() -> None:
    now = 100.0
    backoff = Backoff(RetrySettings(first_s=2, longest_s=60), lambda: now)
    assert backoff.due
    wait_s = backoff.fail()
    assert not backoff.due
    now += wait_s
    assert backoff.due
    backoff.fail()
    backoff.succeed()
    assert backoff.due
    assert backoff.wait_s == 0


def test_a_job_that_waited_for_the_share_resumes_with_it(tmp_path: Path) -> None:
    """Jobs are asked only while the share is there: who waited for it need not wait out a back-off as well."""
    share = make_share(tmp_path)
    held_jobs = HeldJobs(settings_for(tmp_path), share, lambda: 0.0, others_active=lambda: False)
    away, failing = (held_jobs.hold(claimed(share, f"{name}.mp4")) for name in "ab")
    for _ in range(9):
        away.wait(Failed.of(ShareAwayError("It has gone.")))
        failing.wait(Failed.of(StorageError("It does not read.")))
    assert away.due
    assert not failing.due
