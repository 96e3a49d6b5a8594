"""Files in folders that other people can write to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from daemon.files import read_json, read_plain
from daemon.service.failed_folder import FailedFolder
from daemon.status.model import History, read_status
from tests.support.share import make_share

MOST = 1000


def test_a_regular_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"[1]")
    assert read_plain(path, MOST) == b"[1]"
    assert read_json(path, MOST) == [1]


def plant(path: Path, what: str) -> None:
    if what == "pipe":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    elif what == "too large":
        path.write_bytes(b"x" * 3 * MOST)
    elif what == "link":
        secret = path.with_name("secret")
        secret.write_text("secret")
        path.symlink_to(secret)
    else:
        path.symlink_to("nowhere")


@pytest.mark.parametrize("what", ["pipe", "folder", "too large", "link", "dangling"])
def test_only_regular_files_are_read(tmp_path: Path, what: str) -> None:
    plant(tmp_path / "x", what)
    with pytest.raises(OSError):
        read_plain(tmp_path / "x", MOST)


@pytest.mark.parametrize("text", ["[" * 100_000, "{", "9" * 10_000, "\udcff"])
def test_an_invalid_document_is_a_value_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "x").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError):
        read_json(tmp_path / "x", 10**6)


@pytest.mark.parametrize("what", ["pipe", "folder", "link", "dangling", "nested"])
def test_planted_reports_neither_block_nor_end_the_service(tmp_path: Path, what: str) -> None:
    share = make_share(tmp_path)
    planted = share.failed / "x.report.json"
    if what == "nested":
        planted.write_text("[" * 100_000)
    else:
        plant(planted, what)
    now = [0.0]
    folder = FailedFolder(tmp_path, share.failed, History(5), interval_s=1, clock=lambda: now[0])
    for _ in range(4):
        now[0] += 100
        folder.advance()
    assert os.path.lexists(planted), "it is not ours to remove"


def test_a_planted_status_is_none(tmp_path: Path) -> None:
    (tmp_path / "outbox").mkdir()
    os.mkfifo(tmp_path / "outbox" / "status.json")
    assert read_status(tmp_path) is None
