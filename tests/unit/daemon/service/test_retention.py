"""Originals are kept for ever, or removed after their time; links and other folders are left alone."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from daemon.config.settings import RetentionSettings
from daemon.service import retention
from daemon.service.retention import Retention

DAY_S = 86400.0


class Clock:
    """A monotonic clock; the share's clock runs with it, ``set_by_s`` ahead of this machine's file system."""

    now = 0.0
    set_by_s = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def originals(tmp_path: Path) -> Path:
    folder = tmp_path / "originals"
    (folder / "sub").mkdir(parents=True)
    for name in ("a.mp4", "sub/b.mp4"):
        (folder / name).write_bytes(b"x")
        os.utime(folder / name, (0, 0))  # recorded long ago, but moved here just now
    (folder / "link.mp4").symlink_to(tmp_path)
    return folder


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if not path.is_dir() or path.is_symlink()}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock, share_time_s = Clock(), retention.share_time_s
    monkeypatch.setattr(retention, "share_time_s", lambda folder: share_time_s(folder) + clock.now + clock.set_by_s)
    return clock


def sweep_hourly(sweeper: Retention, clock: Clock, until_s: float) -> None:
    while clock.now <= until_s:
        sweeper.advance()
        clock.now += 3600.0


def deleting(originals: Path, clock: Clock, days: float) -> Retention:
    return Retention(originals, RetentionSettings(originals="delete", originals_days=days), clock)


def test_kept_by_default(originals: Path, clock: Clock) -> None:
    sweep_hourly(Retention(originals, RetentionSettings(originals_days=0), clock), clock, 2 * DAY_S)
    assert names(originals) == {"a.mp4", "b.mp4", "link.mp4"}


def test_removed_after_their_time_in_the_folder(originals: Path, clock: Clock) -> None:
    sweeper = deleting(originals, clock, 1)
    sweep_hourly(sweeper, clock, DAY_S - 3600)
    assert names(originals) == {"a.mp4", "b.mp4", "link.mp4"}
    sweep_hourly(sweeper, clock, DAY_S + 3600)
    assert names(originals) == {"link.mp4"}


def test_after_the_clock_was_set_nothing_is_removed_for_a_day(originals: Path, clock: Clock) -> None:
    """It was set a year ahead by mistake; somebody may correct it within the day."""
    sweeper = deleting(originals, clock, 30)
    sweeper.advance()
    clock.set_by_s = 366 * DAY_S
    sweep_hourly(sweeper, clock, 24 * 3600)
    assert names(originals) == {"a.mp4", "b.mp4", "link.mp4"}
    sweep_hourly(sweeper, clock, 26 * 3600)
    assert names(originals) == {"link.mp4"}


def test_a_clock_that_is_wrong_at_the_start_removes_nothing(originals: Path, clock: Clock) -> None:
    """The machine starts a year ahead, and its clock is corrected some minutes later."""
    clock.set_by_s = 366 * DAY_S
    sweeper = deleting(originals, clock, 30)
    sweeper.advance()
    clock.now, clock.set_by_s = 600.0, 0.0
    sweep_hourly(sweeper, clock, 3 * DAY_S)
    assert names(originals) == {"a.mp4", "b.mp4", "link.mp4"}


def test_this_machines_clock_does_not_count(originals: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The share's clock has dated the files."""
    now_s = time.time() + 366 * DAY_S
    monkeypatch.setattr(time, "time", lambda: now_s)
    sweep_hourly(deleting(originals, clock, 30), clock, 2 * DAY_S)
    assert names(originals) == {"a.mp4", "b.mp4", "link.mp4"}


def test_a_file_that_cannot_be_removed_does_not_stop_the_sweep(
    originals: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlink = os.unlink

    def refuse(path: str, *, dir_fd: int | None = None) -> None:
        if Path(path).name == "a.mp4":
            raise PermissionError(1, "Operation not permitted")
        unlink(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", refuse)
    sweep_hourly(deleting(originals, clock, 0), clock, 3600)
    assert names(originals) == {"a.mp4", "link.mp4"}


def test_a_folder_that_becomes_a_link_leads_nowhere(
    originals: Path, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_SLICE", 1)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for folder in (originals / "sub", elsewhere):
        for name in ("b.mp4", "c.mp4"):
            (folder / name).write_bytes(b"x")
    sweeper = deleting(originals, clock, 0)
    sweep_hourly(sweeper, clock, 3600)
    clock.now = 3601.0  # the sweep goes on
    while len(names(originals / "sub")) == 2:
        sweeper.advance()
    (originals / "sub").rename(originals / "swapped")
    (originals / "sub").symlink_to(elsewhere)
    for _ in range(5):
        sweeper.advance()
    assert names(elsewhere) == {"b.mp4", "c.mp4"}
