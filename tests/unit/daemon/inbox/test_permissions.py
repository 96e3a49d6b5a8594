"""Files that may not be claimed wait with their reason, and are tried again."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from daemon.inbox.inbox import Inbox
from tests.support.inbox import ManualClock, make_inbox, put, scan


def refused(one: Inbox, number: int) -> str:
    candidate = one.oldest()
    assert candidate is not None
    one.not_taken(candidate, OSError(number, os.strerror(number)))
    return candidate.relative


@pytest.mark.parametrize("number", [errno.EPERM, errno.EACCES, errno.EROFS, errno.EXDEV])
def test_a_file_that_is_refused_is_named_and_tried_again_after_a_while(tmp_path: Path, number: int) -> None:
    clock = ManualClock()
    one = make_inbox(tmp_path, clock)
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
    clock = ManualClock()
    one = make_inbox(tmp_path, clock)
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
    clock = ManualClock()
    one = make_inbox(tmp_path, clock)
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
    clock = ManualClock()
    one = make_inbox(tmp_path, clock)
    put(tmp_path, "x.mp4", 0)
    scan(clock, one)
    refused(one, errno.EBUSY)
    assert not one.forbidden
    scan(clock, one)
    assert one.ready == 1
