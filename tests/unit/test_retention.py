"""Originals are kept for ever, or removed after their time; links and other folders are left alone."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from daemon.retention import Retention
from daemon.settings import RetentionSettings


class Clock:
    now = 0.0

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


def test_kept_by_default(originals: Path) -> None:
    Retention(originals, RetentionSettings(originals_days=0), Clock()).advance()
    assert names(originals) == {"a.mp4", "b.mp4", "link.mp4"}


def test_removed_after_their_time_in_the_folder(originals: Path) -> None:
    young = Retention(originals, RetentionSettings(originals="delete", originals_days=1), Clock())
    young.advance()
    assert names(originals) == {"a.mp4", "b.mp4", "link.mp4"}
    time.sleep(0.01)
    Retention(originals, RetentionSettings(originals="delete", originals_days=0), Clock()).advance()
    assert names(originals) == {"link.mp4"}


def test_a_clock_that_was_set_ages_nothing(originals: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A year forward in the middle of the night: nothing goes for a day, in which somebody may put it right."""
    clock, begun, set_by_s = Clock(), time.time(), 0.0
    monkeypatch.setattr(time, "time", lambda: begun + clock.now + set_by_s)
    sweeper = Retention(originals, RetentionSettings(originals="delete", originals_days=30), clock)
    sweeper.advance()
    set_by_s = 366 * 86400.0
    for hour in range(24):
        clock.now = hour * 3600.0
        sweeper.advance()
    assert names(originals) == {"a.mp4", "b.mp4", "link.mp4"}
    clock.now = 25 * 3600.0
    sweeper.advance()
    assert names(originals) == {"link.mp4"}
