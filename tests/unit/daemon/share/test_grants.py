"""Leases of a job's directory that its own service has moved, away from a worker that nobody reaches."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.errors import LeaseLostError
from daemon.jobs.job import Job
from daemon.share import leases
from tests.support.share import LEASE, claimed, make_share


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return claimed(make_share(tmp_path), "x.mp4")


def test_after_a_move_the_old_worker_has_lost_the_job(job: Job) -> None:
    leases.confirm(job.folder, LEASE)
    moved = leases.take_over(job.folder)
    assert moved is not None
    leases.write(moved, LEASE)
    with pytest.raises(LeaseLostError):
        leases.confirm(job.folder, LEASE)
    leases.confirm(moved, LEASE)
    leases.renew(moved, LEASE.renewed())
    assert leases.read(moved) == leases._for(moved, LEASE.renewed())


def test_a_cached_old_name_does_not_help_the_old_worker(job: Job) -> None:
    """A network file system may resolve it for a while; then the grant in the lease decides."""
    moved = leases.take_over(job.folder)
    assert moved is not None
    leases.write(moved, LEASE)
    job.folder.symlink_to(moved)
    with pytest.raises(LeaseLostError):
        leases.confirm(job.folder, LEASE)


def test_a_lease_without_a_grant_is_that_of_an_earlier_version(job: Job) -> None:
    (job.folder / "lease.json").write_text('{"host": "this-host", "pid": 1, "boot_id": "boot", "sequence": 5}')
    leases.confirm(job.folder, LEASE)
