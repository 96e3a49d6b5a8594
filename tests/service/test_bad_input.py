"""Files that cannot be worked on: explained in failed, untouched, while the service goes on. Tricks are left alone."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from daemon.inbox.scanner import SkipReason
from tests.support.recordings import write_audio, write_recording
from tests.support.service import PATIENCE_S, Service, outputs


def without_moov(path: Path) -> None:
    """A recording whose end, which holds the index, has not arrived."""
    content = write_recording(path, seconds=2, fps=15, size=(320, 180)).read_bytes()
    path.write_bytes(content[: content.rindex(b"moov") - 4])


def still_image(path: Path) -> None:
    encoded = cv2.imencode(".jpg", np.full((200, 300, 3), 128, np.uint8))[1]
    path.write_bytes(encoded.tobytes())


BAD: dict[str, tuple[str, Callable[[Path], object]]] = {
    "empty.mp4": ("EMPTY_FILE", lambda path: path.write_bytes(b"")),
    "text.mp4": ("NOT_MEDIA", lambda path: path.write_text("Dear all,\nthe interview is on the other disk.\n" * 200)),
    "no moov.mp4": ("TRUNCATED", without_moov),
    "audio only.mp4": ("NO_VIDEO", write_audio),
    "photo.mp4": ("STILL_IMAGE", still_image),
    "noise.mkv": ("NOT_MEDIA", lambda path: path.write_bytes(np.random.default_rng(1).bytes(50_000))),
}


def test_bad_files_are_explained_and_untouched(service: Service, recording: Path) -> None:
    contents = {}
    for name, (_, make) in BAD.items():
        path = service.inbox(f"sub/{name}")
        make(path)
        contents[name] = path.read_bytes()
    shutil.copy(recording, service.inbox("sub/good.mp4"))
    service.start()
    service.wait_for(lambda: len(service.files("failed")) == 2 * len(BAD), "all failures")
    service.wait_for(lambda: service.exists("originals/sub/good.mp4"), "the good one among them")

    codes = {}
    for name in BAD:
        assert (service.root / "failed/sub" / name).read_bytes() == contents[name]
        report = service.report(f"failed/sub/{Path(name).stem}.report.json")
        assert report["status"] == "failed"
        assert report["input"]["path"] == f"inbox/sub/{name}"
        assert report["error"]["message"]
        assert report["error"]["remedy"]
        codes[name] = report["error"]["code"]
    assert codes == {name: code for name, (code, _) in BAD.items()}
    assert service.files("outbox") == outputs("sub/good")
    assert {job["code"] for job in service.status()["failed"]} == {code for code, _ in BAD.values()}


def test_a_failed_file_can_be_tried_again(service: Service, recording: Path) -> None:
    service.inbox("x.mp4").write_text("not yet a video")
    service.start()
    service.wait_for(lambda: service.exists("failed/x.report.json"), "the failure")
    shutil.copy(recording, service.root / "failed" / "x.mp4")
    (service.root / "failed" / "x.mp4").rename(service.inbox("x.mp4"))
    service.wait_for(lambda: service.exists("originals/x.mp4"), "the second try")


def test_limits_of_the_configuration(make_service: Callable[..., Service], recording: Path) -> None:
    service = make_service(limits={"duration_s": 3})
    shutil.copy(recording, service.inbox("long.mp4"))
    service.start()
    service.wait_for(lambda: service.exists("failed/long.report.json"), "the refusal")
    assert service.report("failed/long.report.json")["error"]["code"] == "TOO_LONG"


def test_tricks_are_never_followed(service: Service, recording: Path) -> None:
    outside = service.folder / "outside"
    outside.mkdir()
    shutil.copy(recording, outside / "private.mp4")
    service.inbox("link.mp4").symlink_to(outside / "private.mp4")
    service.inbox("folder").symlink_to(outside)
    service.inbox("folder.mp4").mkdir()
    specials = make_specials(service.inbox("fifo.mp4").parent)
    shutil.copy(recording, service.inbox("notes.txt"))
    shutil.copy(recording, service.inbox(".hidden.mp4"))
    before = service.files("inbox")
    service.start()
    shutil.copy(recording, service.inbox("x.mp4"))
    service.wait_for(lambda: service.exists("originals/x.mp4"), "the ordinary file")
    assert service.files("inbox") == before
    assert (outside / "private.mp4").exists()
    assert service.files("outbox") == outputs("x")
    reasons = {line["file"]: line["reason"] for line in service.events("left alone")}
    assert set(reasons) == {"link.mp4", "folder", "folder.mp4", "notes.txt", *specials}
    assert {reasons[name] for name in specials} == {SkipReason.SPECIAL.value}
    assert len(service.events("left alone")) == len(reasons), "each is mentioned once"


def make_specials(folder: Path) -> set[str]:
    """A pipe, a socket and, for root, devices that are named like recordings; returns their names."""
    os.mkfifo(folder / "fifo.mp4")
    with socket.socket(socket.AF_UNIX) as listening, contextlib.chdir(folder):  # the path of a socket must be short
        listening.bind("socket.mp4")
    if os.geteuid() != 0:
        return {"fifo.mp4", "socket.mp4"}
    os.mknod(folder / "zero.mp4", 0o666 | stat.S_IFCHR, os.makedev(1, 5))  # endless to whoever reads it
    os.mknod(folder / "disk.mp4", 0o666 | stat.S_IFBLK, os.makedev(7, 0))
    return {"fifo.mp4", "socket.mp4", "zero.mp4", "disk.mp4"}


def test_hard_links_are_taken_and_their_other_names_are_untouched(service: Service, recording: Path) -> None:
    """Whether the file turns out good or bad: only a name goes, and nothing happens to the content behind it."""
    outside = service.folder / "outside"
    outside.mkdir()
    shutil.copy(recording, outside / "good.mp4")
    (outside / "bad.mp4").write_text("Dear all,\nthe interview is on the other disk.\n" * 200)
    for path in outside.iterdir():
        path.chmod(0o640)
        os.utime(path, (1_000_000_000, 1_000_000_000))
        os.link(path, service.inbox(path.name))
    before = {path.name: what_stands(path) for path in outside.iterdir()}
    service.start()
    service.wait_for(lambda: service.exists("originals/good.mp4"), "the good one")
    service.wait_for(lambda: service.exists("failed/bad.report.json"), "the bad one")
    service.wait_for(lambda: not service.jobs(), "the end of both jobs")
    assert service.files("inbox") == set()
    assert {path.name: what_stands(path) for path in outside.iterdir()} == before
    assert what_stands(service.root / "originals/good.mp4") == before["good.mp4"]
    assert what_stands(service.root / "failed/bad.mp4") == before["bad.mp4"]


def what_stands(path: Path) -> tuple[object, ...]:
    found = path.stat()
    return path.read_bytes(), found.st_ino, found.st_mode, found.st_uid, found.st_gid, found.st_mtime_ns, found.st_nlink


@pytest.mark.parametrize("root", ["missing", "a file"])
def test_a_share_that_cannot_be_used(make_service: Callable[..., Service], root: str) -> None:
    service = make_service(share={"low_bytes": 0, "resume_bytes": 0})
    service.root.rmdir()
    if root == "a file":
        service.root.write_text("no folder")
    process = service.start(wait=False).process
    assert process is not None
    assert process.wait(timeout=PATIENCE_S) == 3
    (line,) = service.events("service cannot run")
    assert line["code"] == "SHARE_AWAY"
    assert line["remedy"]
    assert "READY=1" not in service.notifications()
