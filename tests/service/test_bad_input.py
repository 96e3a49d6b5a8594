"""Files that cannot be worked on: explained in failed, untouched, while the service goes on. Tricks are left alone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.scenes import write_recording, write_sound
from tests.service.running import Service, outputs


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
    "sound only.mp4": ("NO_VIDEO", write_sound),
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
    os.mkfifo(service.inbox("fifo.mp4"))
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
    assert set(reasons) == {"link.mp4", "folder", "folder.mp4", "fifo.mp4", "notes.txt"}
    assert len(service.events("left alone")) == 5, "each is mentioned once"


@pytest.mark.parametrize("root", ["missing", "a file"])
def test_a_share_that_cannot_be_used(make_service: Callable[..., Service], root: str) -> None:
    service = make_service(share={"low_bytes": 0, "resume_bytes": 0})
    service.root.rmdir()
    if root == "a file":
        service.root.write_text("no folder")
    process = service.start(wait=False).process
    assert process is not None
    assert process.wait(timeout=30) == 3
    (line,) = service.events("service cannot run")
    assert line["code"] == "SHARE_AWAY"
    assert line["remedy"]
    assert "READY=1" not in service.notifications()
