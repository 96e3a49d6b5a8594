"""Leases on a full disk: a host must still be able to renew them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.jobs.job import Job
from daemon.layout import LEASE_FILE as FILE
from daemon.share import leases
from pipeline.errors import DiskFullError, StorageError
from tests.support.share import LEASE, claimed, fill, make_share, small_disk

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    """On a disk without a free block."""
    with small_disk(tmp_path):
        job = claimed(make_share(tmp_path), "x.mp4")
        fill(tmp_path / "ballast")
        yield job


def test_a_lease_is_renewed_without_a_free_block(job: Job) -> None:
    lease = replace(LEASE, sequence=98)
    for _ in range(4):
        lease = lease.renewed()
        leases.renew(job.folder, lease)
        assert leases.read(job.folder) == lease


def test_a_takeover_is_written_without_a_free_block(job: Job) -> None:
    taken = leases.take_over(job.folder)
    assert taken is not None
    for host in ("a-host-with-a-long-name", "b"):
        leases.write(taken, replace(LEASE, host=host))
        assert json.loads((taken / FILE).read_text())["host"] == host


def test_a_first_lease_needs_free_space(job: Job) -> None:
    (job.folder / FILE).rename(job.folder / "elsewhere")
    with pytest.raises(DiskFullError):
        leases.write(job.folder, LEASE)
    assert not (job.folder / FILE).exists()


@pytest.mark.parametrize("trick", ["link", "hard link", "fifo", "folder"])
def test_other_files_are_not_overwritten(job: Job, trick: str) -> None:
    path, victim = job.folder / FILE, job.folder / "victim"
    path.rename(victim)
    before = victim.read_bytes()
    make = {
        "link": lambda: path.symlink_to(victim),
        "hard link": lambda: path.hardlink_to(victim),
        "fifo": lambda: os.mkfifo(path),
        "folder": path.mkdir,
    }
    make[trick]()
    with pytest.raises(StorageError):
        leases.write(job.folder, LEASE.renewed())
    assert victim.read_bytes() == before
