"""The PAUSE file as desktops make it, and its text as their editors write it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from daemon.share import control_files
from tests.support.share import make_share


@pytest.mark.parametrize("name", ["PAUSE", "pause", "Pause.txt", "PAUSE.TXT", "PAUSE.txt"])
def test_any_spelling_pauses(tmp_path: Path, name: str) -> None:
    share = make_share(tmp_path)
    assert share.pause_reason() is None
    (tmp_path / name).write_text("lunch")
    assert share.pause_reason() == "lunch"
    assert share.pause_files() == [tmp_path / name]


@pytest.mark.parametrize("name", ["PAUSED", "PAUSE.mp4", ".PAUSE", "PAUSE.txt.txt", "PAUSE.txt~", "my PAUSE"])
def test_other_names_do_not(tmp_path: Path, name: str) -> None:
    share = make_share(tmp_path)
    (tmp_path / name).write_text("lunch")
    assert share.pause_reason() is None


def test_of_two_files_the_one_with_text_counts(tmp_path: Path) -> None:
    share = make_share(tmp_path)
    (tmp_path / "PAUSE").touch()
    (tmp_path / "pause.txt").write_text("lunch")
    assert share.pause_reason() == "lunch"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp949"])
def test_text_of_any_editor(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "PAUSE"
    path.write_bytes("점검 중입니다.\r\n오후 3시에 다시 시작".encode(encoding))
    assert control_files.read(path) == "점검 중입니다. 오후 3시에 다시 시작"


def test_a_long_text_is_cut_between_characters(tmp_path: Path) -> None:
    path = tmp_path / "PAUSE"
    path.write_text("가" * 1000)
    assert control_files.read(path) == "가" * 166


def test_an_unreadable_file_still_counts(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe")
    for name in ("folder", "link", "pipe"):
        assert control_files.read(tmp_path / name) == ""
    assert control_files.read(tmp_path / "nothing") is None
