"""Waiting for room on a disk: how long, for what, and with which words."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from engines.errors import DeviceOutOfMemoryError
from pipeline.degradation.space import DiskSpace, FreeSpace, lacking, refusal
from pipeline.durable import storage_errors
from pipeline.errors import DiskFullError, JobStopped
from pipeline.interruption import Interruption
from pipeline.settings import DegradationSettings

MIB = 2**20
SETTINGS = DegradationSettings(cool_down_s=10, disk_low_bytes=256 * MIB, disk_wait_s=100)


class Disk:
    """A disk whose free space is a function of the time, which only waiting moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, free: Callable[[float], int], total: int = 1000 * MIB) -> None:
        self.now = 0.0
        self.reasons: list[str] = []
        self.space = DiskSpace(Path("job"), SETTINGS, clock=lambda: self.now, sleep=self._sleep)
        monkeypatch.setattr(FreeSpace, "at", lambda _: FreeSpace(free(self.now), total))

    def _sleep(self, seconds: float) -> None:
        self.now += seconds

    def wait(self, *, needed_bytes: int = 0, should_stop: Callable[[], bool] = lambda: False) -> int:
        self.space.wait(
            Interruption(should_stop),
            lambda: self.reasons.append(self.space.reason),
            needed_bytes=needed_bytes,
            what_for="the finished video",
        )
        return round(self.now)


def test_where_there_is_room_nothing_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch, lambda _: 300 * MIB)
    assert disk.wait() == 0
    assert disk.reasons == []


def test_it_goes_on_as_soon_as_there_is_room_and_says_what_it_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch, lambda now: (33 if now < 50 else 256) * MIB)
    assert disk.wait() == 50
    assert set(disk.reasons) == {"33 MiB free, 256 MiB needed: degradation.disk_low_bytes"}
    assert disk.space.reason == ""


def test_it_gives_up_after_the_stated_time(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch, lambda _: 33 * MIB)
    with pytest.raises(DiskFullError, match=r"33 MiB free, 256 MiB needed.*waited 100 s \(degradation\.disk_wait_s\)"):
        disk.wait()
    assert round(disk.now) == 100


def test_a_limit_that_the_disk_can_never_meet_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch, lambda _: 90 * MIB, total=100 * MIB)
    words = "the whole disk has 100 MiB, 256 MiB needed: degradation.disk_low_bytes"
    with pytest.raises(DiskFullError, match=words):
        disk.wait()
    assert disk.now == 0


def test_the_finished_video_may_need_more(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch, lambda now: (300 if now < 20 else 900) * MIB)
    assert disk.wait(needed_bytes=800 * MIB) == 20
    assert set(disk.reasons) == {"300 MiB free, 800 MiB needed: the finished video"}


def test_a_quota_that_does_not_show_is_tried_again_ever_more_rarely_but_within_half_a_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    disk, tries = Disk(monkeypatch, lambda _: 900 * MIB), []
    for _ in range(5):
        assert disk.space.is_cause_of(DiskFullError("writing a segment failed: Disk quota exceeded"))
        before = disk.now
        disk.wait()
        tries.append(round(disk.now - before))
    assert tries == [10, 20, 30, 30, 30]
    assert set(disk.reasons) == {"writing a segment failed: Disk quota exceeded (900 MiB free)"}
    disk.space.on_written()
    assert disk.space.is_cause_of(OSError(errno.EDQUOT, "Disk quota exceeded"))
    before = disk.now
    disk.wait()
    assert round(disk.now - before) == 10


def test_space_that_grows_is_tried_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch, lambda now: (300 if now < 3 else 310) * MIB)
    assert disk.space.is_cause_of(OSError(errno.ENOSPC, "No space left on device"))
    assert disk.wait() == 3


def test_a_stop_ends_the_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch, lambda _: 0)
    with pytest.raises(JobStopped):
        disk.wait(should_stop=lambda: disk.now > 3)
    assert disk.now < 4


def test_a_file_system_that_counts_nothing_is_no_obstacle(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Disk(monkeypatch, lambda _: 0, total=0).wait(needed_bytes=2**40) == 0
    assert lacking(FreeSpace(0, 0), 1, "x") == ""


def test_a_full_disk_as_the_system_says_it() -> None:
    with pytest.raises(DiskFullError) as caught, storage_errors("writing"), Path("/dev/full").open("wb", 0) as full:
        full.write(b"x")
    assert refusal(caught.value) == "writing failed: No space left on device"
    assert refusal(DeviceOutOfMemoryError("m")) == ""
