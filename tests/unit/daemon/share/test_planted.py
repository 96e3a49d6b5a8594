"""Links and pipes planted under the names that are read and written: anybody in the group may do that."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.config.settings import RetentionSettings, Settings
from daemon.errors import InvalidOutputError, ShareAwayError
from daemon.jobs import sidecar
from daemon.jobs.delivery import Delivery
from daemon.jobs.segment_cache import SegmentCache, key_of
from daemon.layout import LEASE_FILE, SENTINEL
from daemon.share import leases
from daemon.share.reach import NoShareError, check
from pipeline.corrections import CorrectionsError
from tests.support.planted import VICTIM, assert_plain, in_time, plant
from tests.support.share import LEASE, finished, make_share


def test_leases(tmp_path: Path, planted: Callable[[Path], None]) -> None:
    planted(tmp_path / ".lease.json.this-host.part")
    in_time(lambda: leases.write(tmp_path, LEASE))
    assert leases.read(tmp_path) == LEASE
    assert_plain(tmp_path / LEASE_FILE)


@pytest.mark.parametrize("name", ["segments", "preview", "checkpoint.json"])
def test_cached_segments_replace_planted_links(tmp_path: Path, name: str) -> None:
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
def test_a_planted_report_is_not_delivered(tmp_path: Path, what: str) -> None:
    job = finished(make_share(tmp_path), "x.mp4")
    report = job.folder / "output.report.json"
    document = report.read_bytes()
    report.unlink()
    plant(report, what, tmp_path / "victim")
    (tmp_path / "victim").write_bytes(document)
    with pytest.raises(InvalidOutputError, match="report cannot be read"):
        in_time(lambda: Delivery(make_share(tmp_path)).deliver(job))


def test_a_pipe_is_no_recording(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "source")
    with pytest.raises(OSError):
        in_time(lambda: key_of(tmp_path / "source"))
