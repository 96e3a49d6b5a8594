"""The far end of a connection, without a cluster."""

from __future__ import annotations

import time

from daemon.executor.relay import Event, Relay
from daemon.worker.protocol import Note, decode, encode, framed
from pipeline.job import Progress
from tests.support.orders import Echo, Silent


def events(relay: Relay, count: int) -> list[Event]:
    found: list[Event] = []
    deadline = time.monotonic() + 60
    while len(found) < count:
        assert time.monotonic() < deadline, found
        found += relay.read(1.0)
    return found


def test_lines_arrive_in_order_and_the_end_last() -> None:
    relay = Relay(patience_s=60)
    relay.send(framed(Echo()))
    relay.send(encode(Note("a")))
    relay.send(encode(Note("end")))
    *lines, end = events(relay, 4)
    assert [type(decode(line.line)) for line in lines][:2] == [Progress, Note]
    assert end == Event("ended", status=0)
    relay.send(b"too late")
    relay.kill()
    assert relay.read(0.0) == []


def test_a_worker_that_nobody_asks_about_is_killed() -> None:
    """This node may be cut off, and another worker may do the job."""
    relay = Relay(patience_s=0.5)
    relay.send(framed(Silent()))
    time.sleep(3)
    assert events(relay, 1)[-1] == Event("ended", status=-9)


def test_an_early_kill_is_not_lost() -> None:
    relay = Relay(patience_s=60)
    relay.kill()
    assert events(relay, 1)[-1] == Event("ended", status=-9)
