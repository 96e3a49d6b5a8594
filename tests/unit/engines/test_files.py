"""Atomic writing, also where other people create files of the same name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from engines.files import make_folder, part_path, replace_file, replacing
from tests.support.planted import assert_plain, in_time


@pytest.mark.parametrize("durable", [True, False])
@pytest.mark.parametrize("writer", ["", "here"])
def test_a_file_is_replaced(tmp_path: Path, durable: bool, writer: str) -> None:
    path = tmp_path / "status.json"
    for content in (b"[1]", b"2"):
        replace_file(path, content, writer=writer, durable=durable, mode=0o640)
        assert path.read_bytes() == content
    assert path.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("writer", ["", "here"])
def test_a_planted_part_is_never_written_to(tmp_path: Path, planted: Callable[[Path], None], writer: str) -> None:
    """The name of the part is known to everybody who has seen one."""
    path = tmp_path / "status.json"
    planted(part_path(path, writer))
    in_time(lambda: replace_file(path, b"new", writer=writer))
    assert path.read_bytes() == b"new"
    assert_plain(path)


@pytest.mark.parametrize("durable", [True, False])
def test_a_failed_write_leaves_the_old_file_and_no_part(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "output.mp4"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), replacing(path, durable=durable) as file:
        file.write(b"half")
        raise RuntimeError
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("output.mp4", b"old")]


def test_a_folder_takes_the_place_of_what_was_planted(tmp_path: Path, planted: Callable[[Path], None]) -> None:
    folder = tmp_path / "segments"
    planted(folder)
    make_folder(folder)
    make_folder(folder)
    assert folder.is_dir()
    assert not folder.is_symlink()
