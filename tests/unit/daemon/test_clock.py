"""Periodic work."""

from __future__ import annotations

from daemon.clock import Every


def test_work_is_due_at_once_and_then_once_a_period() -> None:
    now = [100.0]
    every = Every(10, lambda: now[0])
    assert [every.due(), every.due()] == [True, False]
    now[0] += 9.9
    assert not every.due()
    now[0] += 35
    assert [every.due(), every.due()] == [True, False]
