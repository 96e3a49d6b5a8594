"""The scan: what is found, what is ignored, and that no trick is followed."""

from __future__ import annotations

import os
import re
import socket
import stat
import time
import unicodedata
from pathlib import Path

import pytest

from daemon.inbox import ignored_names as ignored
from daemon.inbox.scanner import Found, Ignored, SkipReason, Walk
from daemon.share.naming import composed

EXTENSIONS = ("mp4", "mov")


def walk(inbox: Path) -> tuple[set[str], dict[str, SkipReason]]:
    entries = list(Walk(inbox, EXTENSIONS))
    found = {entry.relative for entry in entries if isinstance(entry, Found)}
    return found, {entry.relative: entry.reason for entry in entries if isinstance(entry, Ignored)}


@pytest.mark.parametrize(
    "name",
    [
        ".x.mp4",
        "~$x.mp4",
        "@eaDir",
        "#recycle",
        "__MACOSX",
        ".stfolder",
        "~syncthing~x.mp4.tmp",
        ".syncthing.x.mp4",
        ".nfs000123",
        "x.mp4.part",
        "x.partial",
        "x.mp4.crdownload",
        "x.tmp",
        "x.filepart",
        "Thumbs.db",
        "desktop.ini",
        "THUMBS.DB",
        "X.MP4.PART",
        ".DS_Store",
        "._x.mp4",
        "$RECYCLE.BIN",
        "System Volume Information",
        "@Recycle",
        "@Recently-Snapshot",
        "#snapshot",
        "@tmp",
        "@sharebin",
        ".Trash-1000",
        "lost+found",
        "x.temp.mp4",
        "x.partial.MP4",
        "x.inprogress.mp4",
        "_UNPACK_x.mp4",
        "x.mp4.!sync",
        "x.mp4.aria2",
        "x.mov.sb-1a2b3c4d-Xy12zz",
        ".x.mp4.icloud",
        "x.mp4.nextcloud",
        "GX010001.LRV",
        "C0001S03.MP4",
    ],
)
def test_what_tools_leave_is_left_alone_and_named_unless_there_may_be_thousands(name: str, tmp_path: Path) -> None:
    is_folder = name.startswith(("@", "#", "$", "lost", "System"))
    row = ignored.find(name, is_folder=is_folder)
    assert row is not None
    if is_folder:
        (tmp_path / name).mkdir()
        (tmp_path / name / "inside.mp4").write_bytes(b"x")
    else:
        (tmp_path / name).write_bytes(b"x")
    expected = {} if row.kind is ignored.Kind.SYSTEM else {name: SkipReason[row.kind.name]}
    assert walk(tmp_path) == (set(), expected)


@pytest.mark.parametrize(
    ("folder", "reason"),
    [
        ("M4ROOT/SUB", SkipReason.PROXY),
        ("Wedding.fcpbundle", SkipReason.BUNDLE),
        ("a/iMovie.imovielibrary", SkipReason.BUNDLE),
    ],
)
def test_proxies_and_bundles_are_named_and_not_entered(folder: str, reason: SkipReason, tmp_path: Path) -> None:
    (tmp_path / folder / "deeper").mkdir(parents=True)
    (tmp_path / folder / "deeper" / "x.mp4").write_bytes(b"x")
    assert walk(tmp_path) == (set(), {folder: reason})


def test_each_line_of_the_table_names_its_program_and_matches() -> None:
    lines = ignored.table()
    assert len({line.name.lower() for line in lines}) == len(lines)
    for line in lines:
        assert line.by
        assert line.source
        name = line.name.replace("{ext}", "mp4").replace("*", "x").replace("[0-9]", "1").replace("?", "a")
        assert ignored.find(name, is_folder=line.only == "folder") is not None, line.name


def test_names_are_compared_without_regard_to_unicode_form() -> None:
    line = ignored.Row("휴지통*", ignored.Kind.SYSTEM, "a tool", "its manual")
    decomposed = unicodedata.normalize("NFD", "휴지통.mp4")
    assert re.fullmatch(line.regex, composed(decomposed))


@pytest.mark.parametrize(
    "name",
    [
        "x.mp4",
        "X.MP4",
        "a b.mov",
        "newline\n.mp4",
        "인터뷰.mp4",
        "part.mp4",
        "tmp.mp4",
        "-rf.mp4",
        "a" * 251 + ".mp4",
        os.fsdecode(b"\xff\xfe.mp4"),
        "\x1b[31m.mp4",
        "<b>&amp;.mp4",
        "x part.mp4",
        "temp.mp4",
        "in progress.mp4",
        "sub.mp4",
        "found.000.mp4",
        " .mp4",
    ],
)
def test_any_name_is_found(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"x")
    assert walk(tmp_path) == ({name}, {})


def test_ignored_folders_are_not_entered(tmp_path: Path) -> None:
    for folder in ("@eaDir", "#recycle", ".hidden", "good", "subs", "x.key.old"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.mp4").write_bytes(b"x")
    assert walk(tmp_path) == ({"good/x.mp4", "subs/x.mp4", "x.key.old/x.mp4"}, {})


def test_subfolders_are_entered(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b" / "c"
    deep.mkdir(parents=True)
    (deep / "x.mov").write_bytes(b"x")
    assert walk(tmp_path)[0] == {"a/b/c/x.mov"}


def test_tricks_are_refused_and_nothing_is_opened(tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "secret.mp4").write_bytes(b"secret")
    (inbox / "link.mp4").symlink_to(elsewhere / "secret.mp4")
    (inbox / "dangling.mp4").symlink_to("nowhere")
    (inbox / "folder-link").symlink_to(elsewhere)
    (inbox / "loop").symlink_to(inbox)
    (inbox / "folder.mp4").mkdir()
    (inbox / "folder.mp4" / "inside.mp4").write_bytes(b"x")
    os.mkfifo(inbox / "fifo.mp4")
    with socket.socket(socket.AF_UNIX) as listening:
        here = Path.cwd()
        os.chdir(inbox)  # the path of a socket must be short
        listening.bind("socket.mp4")
        os.chdir(here)
        begun = time.monotonic()
        found, left = walk(inbox)
    assert time.monotonic() - begun < 1
    assert found == set()
    assert left == {
        "link.mp4": SkipReason.LINK,
        "dangling.mp4": SkipReason.LINK,
        "folder-link": SkipReason.LINK,
        "loop": SkipReason.LINK,
        "folder.mp4": SkipReason.FOLDER,
        "fifo.mp4": SkipReason.SPECIAL,
        "socket.mp4": SkipReason.SPECIAL,
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes device nodes")
@pytest.mark.parametrize("kind", [stat.S_IFCHR, stat.S_IFBLK])
def test_devices_are_refused(tmp_path: Path, kind: int) -> None:
    os.mknod(tmp_path / "device.mp4", 0o666 | kind, os.makedev(1, 5))
    assert walk(tmp_path) == (set(), {"device.mp4": SkipReason.SPECIAL})


def test_a_hard_link_is_a_file_like_any_other(tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (tmp_path / "elsewhere.mp4").write_bytes(b"x")
    (inbox / "x.mp4").hardlink_to(tmp_path / "elsewhere.mp4")
    assert walk(inbox) == ({"x.mp4"}, {})


def test_other_extensions_are_left_alone_with_a_reason(tmp_path: Path) -> None:
    for name in ("x.txt", "x", "x.mp4x", "mp4"):
        (tmp_path / name).write_bytes(b"x")
    found, left = walk(tmp_path)
    assert not found
    assert set(left.values()) == {SkipReason.EXTENSION}


def test_sidecars_are_found_and_not_complained_about(tmp_path: Path) -> None:
    nearly = {"x.dualface.yaml", "X.DualFace.YAML", "x.dualface.yml", "x.dualface.yaml.txt", "x.mp4.dualface.rtf"}
    for name in (*nearly, "x.yaml", ".dualface.yaml", "x.dualface.yaml~", "x.dualface.yaml.part"):
        (tmp_path / name).write_bytes(b"x")
    left = {"x.yaml": SkipReason.EXTENSION, "x.dualface.yaml.part": SkipReason.UNFINISHED}
    assert walk(tmp_path) == (nearly, left)


def test_a_sidecar_that_is_no_file_has_its_kind_as_fault(tmp_path: Path) -> None:
    (tmp_path / "link.dualface.yaml").symlink_to("nowhere")
    (tmp_path / "folder.dualface.yml" / "deeper").mkdir(parents=True)
    (tmp_path / "notes.dualface.d").mkdir()
    (tmp_path / "notes.dualface.d" / "x.mp4").write_bytes(b"x")
    os.mkfifo(tmp_path / "pipe.dualface.yaml")
    found = {entry.relative: entry.fault for entry in Walk(tmp_path, EXTENSIONS) if isinstance(entry, Found)}
    assert found == {
        "link.dualface.yaml": "a link",
        "folder.dualface.yml": "a folder",
        "pipe.dualface.yaml": "no regular file",
        "notes.dualface.d/x.mp4": "",
    }


def test_file_that_vanishes_during_the_walk_is_no_error(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.mp4").write_bytes(b"x")
    steps = Walk(tmp_path, EXTENSIONS)
    iterator = iter(steps)
    next(iterator)
    for path in tmp_path.iterdir():
        path.unlink()
    assert all(entry is None or isinstance(entry, Found) for entry in iterator)
    assert steps.complete


def test_twenty_thousand_files_are_walked_quickly(tmp_path: Path) -> None:
    for number in range(20_000):
        os.close(os.open(tmp_path / f"{number}.mp4", os.O_CREAT | os.O_WRONLY))
    begun_s = time.process_time()
    assert len(walk(tmp_path)[0]) == 20_000
    assert time.process_time() - begun_s < 1
