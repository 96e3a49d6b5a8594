"""Links and pipes planted under the names that are read and written: anybody in the group may do that."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daemon.config.settings import RetentionSettings, Settings
from daemon.errors import InvalidOutputError, ShareAwayError
from daemon.jobs import sidecar
from daemon.jobs.delivery import Delivery
from daemon.jobs.segment_cache import SegmentCache, key_of
from daemon.share import leases
from daemon.share.reach import NoShareError, check
from daemon.share.share import SENTINEL
from engines.frames import EncodedPacket
from pipeline.corrections import CorrectionsError
from pipeline.durable import make_folder, replacing, write_durably
from pipeline.report.thumbnails import write_jpeg
from pipeline.segments.checkpoint import Checkpoint, load
from pipeline.segments.segment import SegmentWriter, is_intact
from tests.support.share import LEASE, finished, make_share
from tests.unit.pipeline.segments.test_segment import row

PLANTED = ("link", "hard link", "dangling", "pipe")
VICTIM = b"somebody else's"


def plant(path: Path, what: str, victim: Path) -> None:
    victim.write_bytes(VICTIM)
    if what == "pipe":
        os.mkfifo(path)
    elif what == "hard link":
        path.hardlink_to(victim)
    else:
        path.symlink_to(victim if what == "link" else victim.with_name("nowhere"))


@pytest.fixture(params=PLANTED)
def planted(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[Path], None]]:
    """Plants something; afterwards what it leads to is as it was."""
    victim = tmp_path / "victim"
    yield lambda path: plant(path, request.param, victim)
    assert victim.read_bytes() == VICTIM
    assert not (tmp_path / "nowhere").exists()


def in_time(action: Callable[[], Any]) -> Any:
    """What the action returns or raises; an open pipe would make it wait for ever."""
    done: Future[Any] = Future()

    def run() -> None:
        try:
            done.set_result(action())
        except Exception as error:
            done.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return done.result(timeout=10)


def assert_plain(path: Path) -> None:
    assert path.is_file()
    assert not path.is_symlink()
    assert path.stat().st_nlink == 1


def test_small_files(tmp_path: Path, planted: Callable[[Path], None]) -> None:
    path = tmp_path / "checkpoint.json"
    planted(tmp_path / "checkpoint.json.part")
    in_time(lambda: write_durably(path, b"new"))
    assert path.read_bytes() == b"new"
    assert_plain(path)


def test_what_fails_leaves_the_old_file_and_no_part(tmp_path: Path) -> None:
    path = tmp_path / "output.mp4"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), replacing(path) as file:
        file.write(b"half")
        raise RuntimeError
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("output.mp4", b"old")]


def test_leases(tmp_path: Path, planted: Callable[[Path], None]) -> None:
    planted(tmp_path / ".lease.json.part")
    in_time(lambda: leases.write(tmp_path, LEASE))
    assert leases.read(tmp_path) == LEASE
    assert_plain(tmp_path / leases.LEASE)


@pytest.mark.parametrize("suffix", [".h264", ".packets.json", ".tracks.jsonl.gz", ".rows.jsonl.gz"])
def test_segments(tmp_path: Path, planted: Callable[[Path], None], suffix: str) -> None:
    folder = tmp_path / "segments"
    folder.mkdir()
    planted(folder / f"000000{suffix}.part")

    def write() -> Any:
        with SegmentWriter(folder, 0, 0) as writer:
            writer.add_row(row(0), row(0), 1024)
            writer.add_packets([EncodedPacket(b"key", 0, True)])
            return writer.finish()

    record = in_time(write)
    assert is_intact(folder, record)
    for path in folder.iterdir():
        assert_plain(path)


def test_frames(tmp_path: Path, planted: Callable[[Path], None]) -> None:
    path = tmp_path / "000000000500-picture.jpg"
    planted(path)
    in_time(lambda: write_jpeg(path, np.zeros((8, 8, 3), np.uint8), 90))
    assert path.read_bytes().startswith(b"\xff\xd8")
    assert_plain(path)


def test_folders(tmp_path: Path, planted: Callable[[Path], None]) -> None:
    folder = tmp_path / "segments"
    planted(folder)
    make_folder(folder)
    make_folder(folder)
    assert folder.is_dir()
    assert not folder.is_symlink()


def test_a_linked_folder_of_segments_is_none(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with SegmentWriter(elsewhere, 0, 0) as writer:
        writer.add_row(row(0), row(0), 1024)
        record = writer.finish()
    Checkpoint("f", segments=[record]).save(tmp_path)
    (tmp_path / "segments").symlink_to(elsewhere)
    assert load(tmp_path, "f") == (None, "a finished segment is missing or damaged")


@pytest.mark.parametrize("name", ["segments", "preview", "checkpoint.json"])
def test_kept_state_comes_in_over_links(tmp_path: Path, name: str) -> None:
    share = make_share(tmp_path)
    job = finished(share, "x.mp4")
    arrived = job.folder / "kept"
    elsewhere = tmp_path / "elsewhere"
    (arrived / name).mkdir(parents=True)
    elsewhere.mkdir()
    (elsewhere / "x").write_bytes(VICTIM)
    (job.folder / name).symlink_to(elsewhere)
    SegmentCache(share, RetentionSettings(), clock=lambda: 0.0).restore(job)
    assert not (job.folder / name).is_symlink()
    assert not arrived.exists()
    assert (elsewhere / "x").read_bytes() == VICTIM


def test_locks(tmp_path: Path, planted: Callable[[Path], None]) -> None:
    path = tmp_path / "this-host.lock"
    planted(path)

    def lock() -> None:
        with leases.only_service_of_host(tmp_path, "this-host"):
            assert_held(path)

    in_time(lock)


def assert_held(path: Path) -> None:
    assert path.is_file()
    assert not path.is_symlink()
    with path.open("rb") as again, pytest.raises(BlockingIOError):
        fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize("what", ["link", "dangling", "pipe"])
def test_sidecars(tmp_path: Path, what: str) -> None:
    path = tmp_path / "sidecar.yaml"
    plant(path, what, tmp_path / "victim")
    with pytest.raises(CorrectionsError, match="no regular file"):
        in_time(lambda: sidecar.read(path, Settings()))


def test_a_pipe_is_no_sentinel(tmp_path: Path) -> None:
    share = make_share(tmp_path)
    sentinel = share.state / SENTINEL
    sentinel.unlink()
    os.mkfifo(sentinel)
    with pytest.raises(ShareAwayError):
        in_time(share.identity)
    with pytest.raises(NoShareError, match="no share of dualface"):
        check(share)


@pytest.mark.parametrize("what", ["link", "pipe"])
def test_what_is_no_report_is_not_delivered(tmp_path: Path, what: str) -> None:
    job = finished(make_share(tmp_path), "x.mp4")
    report = job.folder / "output.report.json"
    document = report.read_bytes()
    report.unlink()
    plant(report, what, tmp_path / "victim")
    (tmp_path / "victim").write_bytes(document)
    with pytest.raises(InvalidOutputError, match="report cannot be read"):
        in_time(lambda: Delivery(make_share(tmp_path)).deliver(job))


@pytest.mark.parametrize("what", ["link", "dangling", "pipe"])
def test_what_is_no_checkpoint_starts_over(tmp_path: Path, what: str) -> None:
    plant(tmp_path / "checkpoint.json", what, tmp_path / "victim")
    assert in_time(lambda: load(tmp_path, "f"))[0] is None


def test_a_pipe_is_no_recording(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "source")
    with pytest.raises(OSError):
        in_time(lambda: key_of(tmp_path / "source"))
