"""The status page: harmless whatever files are called, written only when something changes, kept over a restart."""

from __future__ import annotations

import json
import os
from pathlib import Path

from daemon.naming import valid_text
from daemon.settings import StatusSettings
from daemon.status import Board, FailedJob, FinishedJob, History, RunningJob, StatusPage, link_to, read_status

HOSTILE = "<script>alert(1)</script>\"&'.mp4"


def board() -> Board:
    return Board(
        host="h",
        pid=1,
        state="working",
        reason=HOSTILE,
        queued=3,
        running=[RunningJob("j", HOSTILE, "render", 41.5, 29.97, 75, "normal", 1)],
        finished=[
            FinishedJob("k", HOSTILE, f"outbox/{HOSTILE}", link_to(f"outbox/{HOSTILE}"), "succeeded", "fine", "now"),
        ],
        failed=[FailedJob("l", HOSTILE, "NOT_MEDIA", HOSTILE, "Export it again.", "now")],
    )


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_names_are_text_and_nothing_else(tmp_path: Path) -> None:
    StatusPage(tmp_path, StatusSettings(), Clock()).show(board())
    page = (tmp_path / "status.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "http://" not in page
    assert "https://" not in page
    assert 'href="%3Cscript' in page


def test_any_name_can_be_shown(tmp_path: Path) -> None:
    raw = os.fsdecode(b"outbox/\xff\n\x1b.mp4")
    shown = board()
    shown.finished = [FinishedJob("k", valid_text(raw), valid_text(raw), link_to(raw), "succeeded", "", "now")]
    StatusPage(tmp_path, StatusSettings(), Clock()).show(shown)
    assert "%FF%0A%1B.mp4" in (tmp_path / "status.html").read_text()


def test_written_only_when_something_has_changed_and_not_too_often(tmp_path: Path) -> None:
    clock = Clock()
    page = StatusPage(tmp_path, StatusSettings(interval_s=3), clock)

    def written(queued: int) -> bool:
        before = (tmp_path / "status.json").stat().st_ino if (tmp_path / "status.json").exists() else None
        shown = board()
        shown.queued = queued
        page.show(shown)
        return (tmp_path / "status.json").stat().st_ino != before

    assert written(1)
    clock.now = 1
    assert not written(2)
    clock.now = 4
    assert written(2)
    clock.now = 30
    assert not written(2)
    clock.now = 70
    assert written(2)  # a sign of life


def test_history_survives_a_restart(tmp_path: Path) -> None:
    (tmp_path / "outbox").mkdir()
    shown = board()
    StatusPage(tmp_path / "outbox", StatusSettings(), Clock()).show(shown)
    history = History(50)
    history.restore(tmp_path)
    assert list(history.finished) == shown.finished
    assert list(history.failed) == shown.failed


def test_reading_what_is_not_there_or_not_ours(tmp_path: Path) -> None:
    assert read_status(tmp_path) is None
    (tmp_path / "outbox").mkdir()
    for content in ("", "{", "[]", '{"schema": "other"}'):
        (tmp_path / "outbox" / "status.json").write_text(content)
        assert read_status(tmp_path) is None
    history = History(5)
    other = {"schema": "dualface.status/1", "finished": [{"x": 1}]}
    (tmp_path / "outbox" / "status.json").write_text(json.dumps(other))
    history.restore(tmp_path)
    assert not history.finished


def test_one_line_says_it_all() -> None:
    shown = board()
    shown.reason = ""
    shown.running = [RunningJob("j", "inbox/x.mp4", "render", 41.5, 29.97, 75, "normal", 1)]
    assert shown.line() == "working; inbox/x.mp4 render 42 %; queue 3; level normal"
