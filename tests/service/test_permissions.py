"""Files that the service may not read wait where they are, with a reason, and hold nothing up."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from daemon.errors import MoveRefusedError, OtherFileSystemError
from daemon.inbox.permissions import READ_ONLY, UNREADABLE
from daemon.remedies import remedy_of
from tests.support.service import Service, outputs

NOBODY = 65534
# Root without these is bound to permissions like anybody else.
UNPRIVILEGED = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner", "--"]


@pytest.fixture
def bound(service: Service) -> Service:
    """A service that file modes are true for, as they are for its own user."""
    if os.geteuid() == 0:
        service.wrapper = UNPRIVILEGED
    return service


def forbid(path: Path) -> None:
    """As an editor leaves it whose program saves with 0600."""
    path.chmod(0o600 if os.geteuid() == 0 else 0)
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY)


def waiting(service: Service) -> dict[str, tuple[str, str]]:
    return {row["file"]: (row["code"], row["remedy"]) for row in service.status().get("waiting", []) if not row["job"]}


def test_a_file_that_may_not_be_read_waits_in_the_inbox_until_it_may(bound: Service, recording: Path) -> None:
    """It and one whose sidecar may not be read; the file behind them in the line is worked on."""
    for name in ("private.mp4", "corrected.mp4", "behind.mp4"):
        shutil.copy(recording, bound.inbox(name))
    os.utime(bound.inbox("private.mp4"), (1e9, 1e9))  # its turn comes first
    sidecar = bound.inbox("corrected.dualface.yaml")
    sidecar.write_text("swap: true\n")
    forbidden = (bound.inbox("private.mp4"), sidecar)
    for path in forbidden:
        forbid(path)
    bound.start()
    bound.wait_for(lambda: bound.exists("originals/behind.mp4"), "the file behind them")
    expected = {f"inbox/{path.name}": ("FILE_UNREADABLE", remedy_of(UNREADABLE)) for path in forbidden}
    bound.wait_for(lambda: waiting(bound) == expected, "the reasons")
    bound.wait_for(lambda: "The service may not read this file" in bound.page(), "the reasons on the page")
    assert "서비스에 이 파일을 읽을 권한이 없습니다" in bound.page()
    time.sleep(2)  # many scans
    assert bound.files("inbox") == {"private.mp4", "corrected.mp4", "corrected.dualface.yaml"}
    assert bound.jobs() == []
    lines = bound.events("file waits")
    assert sorted((line["file"], line["level"]) for line in lines) == sorted((p.name, "warning") for p in forbidden)
    for path in forbidden:
        path.chmod(0o644)
    bound.wait_for(lambda: len(bound.files("originals")) == 4, "both, as soon as they may be read")
    bound.wait_for(lambda: not waiting(bound), "the end of the reasons")
    assert bound.files("outbox") == outputs("behind") | outputs("private") | outputs("corrected")


def test_a_file_in_a_folder_that_may_not_be_written_to_waits_until_it_may(bound: Service, recording: Path) -> None:
    """As an editor leaves it who makes a folder of his own in the inbox."""
    folder = bound.inbox("mine")
    folder.mkdir()
    shutil.copy(recording, folder / "a.mp4")
    folder.chmod(0o555)
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    bound.start()
    bound.wait_for(
        lambda: waiting(bound) == {"inbox/mine/a.mp4": ("FOLDER_READ_ONLY", remedy_of(READ_ONLY))}, "the reason"
    )
    assert bound.jobs() == []
    folder.chmod(0o777)
    bound.wait_for(lambda: bound.exists("originals/mine/a.mp4"), "it, as soon as the folder lets it go")
    bound.wait_for(lambda: not waiting(bound), "the end of the reason")
    assert [line["level"] for line in bound.events("file waits")] == ["warning"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount and give files away")
def test_files_that_the_share_refuses_to_move_wait_with_a_reason(bound: Service, recording: Path) -> None:
    """In a sticky folder only who owns a file may rename it; out of another mount nobody can, be it the same disk."""
    sticky, mounted = bound.inbox("sticky"), bound.inbox("mounted")
    for folder in (sticky, mounted):
        folder.mkdir()
    elsewhere = bound.folder / "elsewhere"
    elsewhere.mkdir()
    subprocess.run(["mount", "--bind", elsewhere, mounted], check=True)
    try:
        for folder in (sticky, mounted):
            shutil.copy(recording, folder / "a.mp4")
            os.chown(folder / "a.mp4", NOBODY, NOBODY)
            os.chown(folder, NOBODY, NOBODY)
        sticky.chmod(0o1777)
        mounted.chmod(0o777)
        shutil.copy(recording, bound.inbox("behind.mp4"))
        bound.start()
        bound.wait_for(lambda: bound.exists("originals/behind.mp4"), "the file behind them")
        expected = {
            "inbox/sticky/a.mp4": ("MOVE_REFUSED", remedy_of(MoveRefusedError(""))),
            "inbox/mounted/a.mp4": ("OTHER_FILE_SYSTEM", remedy_of(OtherFileSystemError(""))),
        }
        bound.wait_for(lambda: waiting(bound) == expected, "the reasons")
        time.sleep(2)  # many scans
        assert waiting(bound) == expected
        assert bound.jobs() == []
        assert len(bound.events("file waits")) == 2
        sticky.chmod(0o777)
        os.utime(sticky / "a.mp4")  # as if it was copied anew: who cannot wait for a minute
        bound.wait_for(lambda: bound.exists("originals/sticky/a.mp4"), "it, as soon as the folder lets it go")
        bound.wait_for(lambda: set(waiting(bound)) == {"inbox/mounted/a.mp4"}, "the end of its reason")
    finally:
        subprocess.run(["umount", mounted], check=True)
