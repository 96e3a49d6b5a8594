"""Moves: they never overwrite a file, and a repeated move changes nothing."""

from __future__ import annotations

import errno
import os
from pathlib import Path, PurePath

import pytest

from daemon.share import rename
from daemon.share.rename import FileMark, make_dirs, move_no_replace, move_once, open_folder


def mark_of(path: Path) -> FileMark:
    mark = FileMark.of(path)
    assert mark is not None
    return mark


def test_move_refuses_to_overwrite(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    with pytest.raises(FileExistsError):
        move_no_replace(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_text() == "b"


def test_move_refuses_a_dangling_link_too(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").symlink_to("nowhere")
    with pytest.raises(FileExistsError):
        move_no_replace(tmp_path / "a", tmp_path / "b")


def test_file_systems_without_no_replace_rename_use_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(source: Path, target: Path) -> None:
        raise OSError(errno.EINVAL, "as on NFS")

    monkeypatch.setattr(rename, "rename_no_replace", unsupported)
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    with pytest.raises(FileExistsError):
        move_no_replace(tmp_path / "a", tmp_path / "b")
    move_no_replace(tmp_path / "a", tmp_path / "c")
    assert (tmp_path / "c").read_text() == "a"
    assert not (tmp_path / "a").exists()


def test_a_repeated_move_changes_nothing(tmp_path: Path) -> None:
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_text("a")
    mark = mark_of(source)
    assert move_once(source, target, mark)
    assert move_once(source, target, mark)
    assert target.read_text() == "a"
    target.rename(tmp_path / "taken away")
    assert not move_once(source, target, mark)


def test_a_link_without_its_unlink_is_finished(tmp_path: Path) -> None:
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_text("a")
    os.link(source, target)
    assert move_once(source, target, mark_of(source))
    assert not source.exists()
    assert target.read_text() == "a"


def test_a_lost_reply_is_a_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NFS: the server renames, the reply is lost, the repeated request finds no source."""
    original = rename.rename_no_replace

    def lost(source: Path, target: Path) -> None:
        original(source, target)
        raise FileNotFoundError(errno.ENOENT, "repeated request")

    monkeypatch.setattr(rename, "rename_no_replace", lost)
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_text("a")
    assert move_once(source, target, mark_of(source))
    assert target.read_text() == "a"


def test_a_missing_share_is_not_taken_for_a_missing_file(tmp_path: Path) -> None:
    """Both names seem to be missing, but so is the directory."""
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "a").write_text("a")
    mark = mark_of(tmp_path / "job" / "a")
    (tmp_path / "job").rename(tmp_path / "away")
    with pytest.raises(FileNotFoundError):
        move_once(tmp_path / "job" / "a", tmp_path / "b", mark)


def test_somebody_elses_file_under_the_target_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("somebody else's")
    with pytest.raises(FileExistsError):
        move_once(tmp_path / "a", tmp_path / "b", mark_of(tmp_path / "a"))
    assert (tmp_path / "a").exists()


def test_folders_are_not_created_through_links(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    assert make_dirs(tmp_path / "out", PurePath("a/b")).is_dir()
    (tmp_path / "out" / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NotADirectoryError):
        make_dirs(tmp_path / "out", PurePath("link/b"))
    with pytest.raises(OSError), open_folder(tmp_path / "out", PurePath("link")):
        pass
    assert list((tmp_path / "elsewhere").iterdir()) == []
