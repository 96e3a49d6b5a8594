"""Back-off: grows, stays within bounds, and is forgotten after a success."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daemon.retry import Backoff
from daemon.settings import RetrySettings


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
