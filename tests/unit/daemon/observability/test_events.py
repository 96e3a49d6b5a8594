"""Listeners of events."""

from __future__ import annotations

from daemon.observability.events import (
    AttemptStarted,
    Event,
    EventBus,
)
from tests.support.metrics import job


def test_a_listener_that_fails_is_left_out() -> None:
    received: list[Event] = []
    called: list[Event] = []

    def broken(event: Event) -> None:
        called.append(event)
        raise RuntimeError("broken")

    events = EventBus(broken, received.append)
    events.publish(AttemptStarted(job()))
    events.publish(AttemptStarted(job()))
    assert (len(called), len(received)) == (1, 2)
