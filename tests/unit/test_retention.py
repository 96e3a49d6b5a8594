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
