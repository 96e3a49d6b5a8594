"""Leases: which host works on which job, and which host has stopped.

A renewal increments the lease's sequence number. Clocks of two hosts are never compared: an observer measures, by
its own monotonic clock, for how long a lease has not been renewed.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from daemon.clock import Clock
from daemon.config.settings import LeaseSettings
from daemon.errors import LeaseLostError, ShareUnusableError
from daemon.files import open_lock, overwrite_plain, read_json
from daemon.layout import HOST_LOCK_SUFFIX, LEASE_FILE, LOCK_FILE
from engines.errors import ExplainedError
from engines.files import FULL, replace_file
from pipeline.durable import storage_errors
from pipeline.errors import StorageError

_TAKEN = "~"  # precedes the number of hosts that have held the job
_LARGEST_BYTES = 100_000
LOCKS_UNKNOWN = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


@dataclass(frozen=True, slots=True)
class Lease:
    """The service that works on a job; every renewal increments ``sequence``.

    Attributes:
        grant: how often the job's directory was moved, counted from 1; a worker of an earlier grant has lost the job.
    """

    host: str
    pid: int
    boot_id: str
    sequence: int = 0
    grant: int = 1

    @classmethod
    def mine(cls, settings: LeaseSettings) -> Lease:
        """Return a new lease of this process."""
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return cls(host_name(settings), os.getpid(), boot_id)

    def renewed(self) -> Lease:
        """Return the lease with the next sequence number."""
        return replace(self, sequence=self.sequence + 1)

    def same_holder(self, other: Lease) -> bool:
        """Whether both were written by one service for one grant, before or after a renewal."""
        return replace(self, sequence=0) == replace(other, sequence=0)


def host_name(settings: LeaseSettings) -> str:
    """Return the name of this service among those of the share."""
    return socket.gethostname() if settings.host == "auto" else settings.host


def write(folder: Path, lease: Lease) -> None:
    """Replace a job's lease, whichever host holds it. It is not synced: after a power cut no host holds the job.

    Raises:
        LeaseLostError: there is no such job directory: another host has taken the job over, or somebody removed it.
        DiskFullError, StorageError: the share cannot be written.
    """
    lease = _for(folder, lease)
    with storage_errors("renewing a lease"):
        try:
            _replace(folder / LEASE_FILE, json.dumps(asdict(lease)).encode(), lease.host)
        except FileNotFoundError as exc:
            if read(folder) == lease:  # only the reply was lost
                return
            raise _lost(folder) from exc


def _replace(path: Path, content: bytes, host: str) -> None:
    """Write atomically, or in place if the disk is full: a host that cannot renew would lose its jobs."""
    try:
        replace_file(path, content, writer=host)
    except OSError as exc:
        if exc.errno not in FULL or not path.exists():
            raise
        overwrite_plain(path, content)


def confirm(folder: Path, lease: Lease) -> None:
    """Check that a job is still held under a lease.

    A network file system may resolve the cached old name of a renamed directory, so the host named in the lease
    decides.

    Raises:
        LeaseLostError: another host has taken the job over.
        StorageError: the share does not answer.
    """
    with storage_errors("reading a lease"):
        try:
            (folder / LEASE_FILE).stat()
        except FileNotFoundError as exc:
            raise _lost(folder) from exc
    found = read(folder)
    if found is not None and not found.same_holder(_for(folder, lease)):
        raise LeaseLostError(f"The host {found.host} has taken the job {folder.name} over.")


def _for(folder: Path, lease: Lease) -> Lease:
    """Return the lease with the grant of the directory's name, by which a cached old name shows itself."""
    return replace(lease, grant=generation(folder))


def generation(folder: Path) -> int:
    """Return how often a directory was taken over, counted from 1, as its name says."""
    number = folder.name.partition(_TAKEN)[2]
    return int(number) if number.isdigit() else 1


def _lost(folder: Path) -> ExplainedError:
    """Return the error for a missing lease."""
    if not folder.parent.is_dir():
        return StorageError(f"The folder of all jobs has gone: {folder.parent}.")
    return LeaseLostError(f"The job directory {folder.name} has been taken over, or removed.")


def renew(folder: Path, lease: Lease) -> None:
    """Write a job's lease if it is still ours.

    Raises:
        LeaseLostError: another host has taken the job over.
        DiskFullError, StorageError: the share cannot be written.
    """
    confirm(folder, lease)
    write(folder, lease)


def read(folder: Path) -> Lease | None:
    """Return a job's lease; None if there is none, or it cannot be read."""
    try:
        return Lease(**read_json(folder / LEASE_FILE, _LARGEST_BYTES))
    except (OSError, ValueError, TypeError):
        return None


class LeaseWatch:
    """Finds leases of other hosts that have not been renewed for too long. It reads no files itself.

    Args:
        expire_s: seconds without a renewal after which a lease has expired.
        clock: monotonic seconds.
    """

    def __init__(self, *, expire_s: float, clock: Clock) -> None:
        self._expire_s = expire_s
        self._clock = clock
        self._seen: dict[str, tuple[Lease | None, float]] = {}

    def expired(self, job: str, lease: Lease | None) -> bool:
        """Record one observation of a job's lease; True if it has not changed for ``expire_s``."""
        now = self._clock()
        before, since = self._seen.setdefault(job, (lease, now))
        if before != lease:
            self._seen[job] = (lease, now)
            return False
        return now - since >= self._expire_s

    def keep_only(self, jobs: set[str]) -> None:
        """Forget all other jobs."""
        self._seen = {job: seen for job, seen in self._seen.items() if job in jobs}


def job_id_of(folder: str) -> str:
    """Return the job's id: the name of its directory before any host took it over."""
    return folder.partition(_TAKEN)[0]


def take_over(folder: Path) -> Path | None:
    """Take a job over from a host that has stopped, by renaming its directory; of many hosts exactly one succeeds.

    If the former owner resumes, its paths do not exist any more, so it can neither checkpoint nor publish. The lock
    of its worker is removed, because a suspended host would hold it for ever.

    Returns:
        The directory's new path; None if another host was faster.

    Raises:
        OSError: the share does not answer; try again later.
    """
    target = folder.with_name(f"{job_id_of(folder.name)}{_TAKEN}{generation(folder) + 1}")
    try:
        folder.rename(target)
    except FileNotFoundError:
        return None
    (target / LOCK_FILE).unlink(missing_ok=True)
    return target


@contextmanager
def only_service_of_host(hosts: Path, host: str) -> Iterator[None]:
    """Hold the host's lock on the share, since two services of one host name would take each other's jobs.

    Raises:
        ShareUnusableError: another service holds it.
    """
    path = hosts / f"{host}{HOST_LOCK_SUFFIX}"
    with open_lock(path) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise ShareUnusableError(
                f"Another dualface service of the host {host} already works on this share.",
                remedy="Stop the other service first (`systemctl stop dualface`), or give each a name: leases.host.",
            ) from exc
        except OSError as exc:
            if exc.errno not in LOCKS_UNKNOWN:
                raise
        yield
