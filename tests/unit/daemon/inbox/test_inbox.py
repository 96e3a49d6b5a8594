"""Intake: fair turns, oldest first, a pace that adapts, and slices that keep the service responsive."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.config.settings import ScanSettings, Settings, SettleSettings
from daemon.inbox.inbox import Inbox
from daemon.inbox.scan_schedule import ScanSchedule
from daemon.inbox.selection import Intake, RoundRobin


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def inbox(folder: Path, clock: Clock, *, path: str = "inbox", priority: int = 0) -> Inbox:
    settings = Settings.model_validate({"inboxes": [{"path": path, "priority": priority}]})
    return Inbox(settings.inboxes[0], folder, settings.scan, SettleSettings(polls=2), quiet_s=5, clock=clock)


def scan(clock: Clock, *inboxes: Inbox, times: int = 8) -> None:
    for _ in range(times):
        for one in inboxes:
            one.advance(10)
        clock.now += 2


def put(folder: Path, name: str, age_s: float, content: bytes = b"x") -> None:
    path = folder / name
    path.write_bytes(content)
    os.utime(path, (1e9 - age_s, 1e9 - age_s))


def test_oldest_first(tmp_path: Path) -> None:
    clock = Clock()
    one = inbox(tmp_path, clock)
    for name, age_s in (("young.mp4", 1), ("old.mp4", 100), ("middle.mp4", 50)):
        put(tmp_path, name, age_s)
    scan(clock, one)
    order = []
    while candidate := one.oldest():
        order.append(candidate.relative)
        one.forget(candidate.relative)
    assert order == ["old.mp4", "middle.mp4", "young.mp4"]


def refused(one: Inbox, number: int) -> str:
    candidate = one.oldest()
    assert candidate is not None
    one.not_taken(candidate, OSError(number, os.strerror(number)))
    return candidate.relative


@pytest.mark.parametrize("number", [errno.EPERM, errno.EACCES, errno.EROFS, errno.EXDEV])
def test_a_file_that_is_refused_is_named_and_tried_again_after_a_while(tmp_path: Path, number: int) -> None:
    clock = Clock()
    one = inbox(tmp_path, clock)
    put(tmp_path, "x.mp4", 0)
    put(tmp_path, "y.mp4", -1)
    scan(clock, one)
    assert refused(one, number) == "x.mp4"
    (why,) = one.forbidden.values()
    assert why.code == ("OTHER_FILE_SYSTEM" if number == errno.EXDEV else "MOVE_REFUSED")
    scan(clock, one)
    assert [found.relative for found in one.in_order(2)] == ["y.mp4"]
    scan(clock, one, times=30)
    assert [found.relative for found in one.in_order(2)] == ["x.mp4", "y.mp4"]
    assert not one.forbidden


def test_a_refused_file_is_tried_again_at_once_when_it_changes_and_forgotten_when_it_goes(tmp_path: Path) -> None:
    clock = Clock()
    one = inbox(tmp_path, clock)
    put(tmp_path, "x.mp4", 0)
    scan(clock, one)
    refused(one, errno.EPERM)
    put(tmp_path, "x.mp4", 1)
    scan(clock, one)
    assert refused(one, errno.EPERM) == "x.mp4"
    (tmp_path / "x.mp4").unlink()
    scan(clock, one)
    assert not one.forbidden
    assert not one.ready


def test_the_more_files_are_refused_the_more_rarely_each_is_tried(tmp_path: Path) -> None:
    clock = Clock()
    one = inbox(tmp_path, clock)
    for number in range(400):
        put(tmp_path, f"{number}.mp4", 0)
    scan(clock, one)
    for _ in range(400):
        refused(one, errno.EPERM)
    scan(clock, one, times=40)
    assert 0 < one.ready < 200
    scan(clock, one, times=80)
    assert one.ready == 400


def test_a_busy_file_settles_anew(tmp_path: Path) -> None:
    clock = Clock()
    one = inbox(tmp_path, clock)
    put(tmp_path, "x.mp4", 0)
    scan(clock, one)
    refused(one, errno.EBUSY)
    assert not one.forbidden
    scan(clock, one)
    assert one.ready == 1


def test_nothing_is_ready_before_it_has_settled(tmp_path: Path) -> None:
    clock = Clock()
    one = inbox(tmp_path, clock)
    put(tmp_path, "x.mp4", 0)
    one.advance(10)
    assert (one.ready, one.settling) == (0, 1)
    scan(clock, one)
    assert (one.ready, one.settling) == (1, 0)


def test_a_file_that_changes_or_goes_is_no_longer_ready(tmp_path: Path) -> None:
    clock = Clock()
    one = inbox(tmp_path, clock)
    put(tmp_path, "x.mp4", 0)
    put(tmp_path, "y.mp4", 0)
    scan(clock, one)
    put(tmp_path, "x.mp4", 0, b"longer")
    (tmp_path / "y.mp4").unlink()
    clock.now += 100
    one.advance(10)
    assert (one.ready, one.settling) == (0, 1)


def test_a_recording_waits_for_its_sidecar_to_settle(tmp_path: Path) -> None:
    clock = Clock()
    one = inbox(tmp_path, clock)
    put(tmp_path, "x.mp4", 0)
    put(tmp_path, "y.mp4", 0)
    scan(clock, one)
    put(tmp_path, "x.dualface.yaml", 0, b"swap: true")
    put(tmp_path, "alone.dualface.yaml", 0, b"swap: true")
    clock.now += 20
    one.advance(10)
    candidate = one.oldest()
    assert candidate is not None
    assert (candidate.relative, candidate.sidecar) == ("y.mp4", None)
    one.forget("y.mp4")
    assert one.oldest() is None
    scan(clock, one)
    assert one.ready == 2, "the recordings only"
    candidate = one.oldest()
    assert candidate is not None
    assert candidate.sidecar is not None
    assert candidate.sidecar.relative == "x.dualface.yaml"
    (tmp_path / "x.dualface.yaml").unlink()
    clock.now += 20
    one.advance(10)
    candidate = one.oldest()
    assert candidate is not None
    assert candidate.sidecar is None


def test_empty_files_wait_without_haste(tmp_path: Path) -> None:
    clock = Clock()
    one = inbox(tmp_path, clock)
    put(tmp_path, "x.mp4", 0, b"")
    scan(clock, one, times=30)
    assert (one.ready, one.settling) == (0, 0)
    clock.now += 1000
    scan(clock, one)
    assert one.ready == 1


def test_a_scan_can_be_cut_into_slices(tmp_path: Path) -> None:
    clock = Clock()
    one = inbox(tmp_path, clock)
    for number in range(50):
        put(tmp_path, f"{number}.mp4", number)
    one.advance(0)
    assert one.settling < 50
    for _ in range(60):
        one.advance(0)
    assert one.settling == 50


def test_inboxes_take_turns_and_priority_goes_first(tmp_path: Path) -> None:
    clock = Clock()
    names = {"a": 0, "b": 0, "urgent": 5}
    inboxes = []
    for name, priority in names.items():
        folder = tmp_path / name
        folder.mkdir()
        for number in range(20 if name == "a" else 2):
            put(folder, f"{name}{number}.mp4", 100 - number)
        inboxes.append(inbox(folder, clock, path=name, priority=priority))
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


def test_pace_slows_down_where_nothing_happens_and_never_eats_the_time() -> None:
    pace = ScanSchedule(ScanSettings(min_interval_s=1, max_interval_s=15), quiet_s=5, polls=3)
    interval_s = 1.0
    seen = []
    for _ in range(6):
        interval_s = pace.next_s(interval_s, settling=False, changed=False, took_s=0.01)
        seen.append(interval_s)
    assert seen == [2, 4, 8, 15, 15, 15]
    assert pace.next_s(15, settling=True, changed=False, took_s=0.01) == 1.25
    assert pace.next_s(15, settling=True, changed=False, took_s=20) == 40
    assert pace.next_s(15, settling=False, changed=False, took_s=20) == 100
