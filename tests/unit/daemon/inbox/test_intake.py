"""The choice of the next file: priority first, then inboxes in turn."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from daemon.inbox.intake import Intake, RoundRobin
from tests.support.inbox import ManualClock, make_inbox, put, scan


def test_inboxes_take_turns_and_priority_goes_first(tmp_path: Path) -> None:
    clock = ManualClock()
    names = {"a": 0, "b": 0, "urgent": 5}
    inboxes = []
    for name, priority in names.items():
        folder = tmp_path / name
        folder.mkdir()
        for number in range(20 if name == "a" else 2):
            put(folder, f"{name}{number}.mp4", 100 - number)
        inboxes.append(make_inbox(folder, clock, path=name, priority=priority))
    intake = Intake(inboxes)
    scan(clock, *inboxes)
    order = []
    for _ in range(7):
        chosen = intake.choose()
        assert chosen is not None
        chosen[0].forget(chosen[1].relative)
        order.append(chosen[1].relative)
    assert order == ["urgent0.mp4", "urgent1.mp4", "a0.mp4", "b0.mp4", "a1.mp4", "b1.mp4", "a2.mp4"]


@given(st.lists(st.sets(st.sampled_from("abcd"), min_size=1), min_size=1, max_size=60))
def test_nobody_waits_longer_than_a_round(waiting: list[set[str]]) -> None:
    """Somebody who waits all the time is served at least once in as many choices as there are inboxes."""
    turns = RoundRobin()
    waited = dict.fromkeys("abcd", 0)
    for keys in waiting:
        chosen = turns.choose([(key, 0) for key in sorted(keys)])
        for key in "abcd":
            waited[key] = waited[key] + 1 if key in keys and key != chosen else 0
            assert waited[key] < 4
