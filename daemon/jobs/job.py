"""A job directory on the share: its files, and its manifest on disk.

The manifest is written atomically and durably before each step. After a crash at any point, the next start finds
in the directory how to go on.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePath

from daemon.files import NO_PLAIN_FILE, read_plain
from daemon.jobs import manifest_json
from daemon.jobs.manifest import JobState, Manifest
from daemon.layout import LEASE_FILE, LOCK_FILE, MANIFEST, PART, SIDECAR, SOURCE
from daemon.share import leases
from daemon.share.leases import Lease
from daemon.share.naming import printable, valid_text
from daemon.share.rename import FileMark, has_gone
from engines.errors import ExplainedError
from engines.files import sync_directory
from pipeline.durable import write_durably

_LARGEST_BYTES = 10_000_000


class Job:
    """A job directory and its manifest."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest

    @property
    def id(self) -> str:
        return self.manifest.job

    @property
    def source(self) -> Path:
        """The claimed recording; its first file if it has several parts."""
        return self.folder / SOURCE

    @property
    def sidecar(self) -> Path:
        """The claimed sidecar, if there is one."""
        return self.folder / SIDECAR

    @property
    def parts(self) -> list[Path]:
        """The files in which the recording goes on."""
        return [self.folder / f"{PART}{number:04}" for number in range(2, len(self.manifest.parts) + 2)]

    @property
    def recordings(self) -> list[Path]:
        """The source and the parts in which it goes on."""
        return [self.source, *self.parts]

    @property
    def inputs(self) -> list[Path]:
        """All claimed files: the recording, and its sidecar if it has one."""
        return [*self.recordings, self.sidecar] if self.manifest.sidecar else self.recordings

    @property
    def source_name(self) -> str:
        """The name that the recording had in its inbox."""
        return PurePath(self.manifest.relative).name

    @property
    def subfolder(self) -> PurePath:
        """Where in the inbox the source lay; outbox, failed and originals mirror it."""
        return PurePath(self.manifest.relative).parent

    @property
    def input_name(self) -> str:
        """The source's path on the share as users see it, as valid Unicode."""
        return valid_text(PurePath(self.manifest.inbox, self.manifest.relative))

    @property
    def part_names(self) -> list[str]:
        """The same for the files in which the recording goes on, without the source."""
        return [valid_text(PurePath(self.manifest.inbox, part)) for part in self.manifest.parts]

    @property
    def label(self) -> str:
        """The same for logs: one line without control characters."""
        return printable(PurePath(self.manifest.inbox, self.manifest.relative))

    def save(self, state: JobState | None = None) -> None:
        """Write the manifest, with a new state if one is given.

        Raises:
            DiskFullError, StorageError: it cannot be written; the job keeps its old state.
        """
        before = self.manifest.state
        self.manifest.state = state or before
        try:
            write_durably(self.folder / MANIFEST, manifest_json.encode(self.manifest))
        except ExplainedError:
            self.manifest.state = before
            raise

    def holds_input(self) -> bool:
        """Return whether the directory still holds a file that a user dropped.

        Raises:
            OSError: it cannot be read.
        """
        parts = self.folder.glob(f"{PART}[0-9][0-9][0-9][0-9]")  # also those that the manifest does not name
        return any(not has_gone(path) for path in (*self.recordings, self.sidecar, *parts))

    def is_altered(self) -> bool:
        """Return whether somebody has written to the source since the job was queued, as when a stalled copy goes on.

        Raises:
            OSError: it cannot be read.
        """
        marks = [self.manifest.source, *self.manifest.part_marks]
        return any(_is_altered(path, mark) for path, mark in zip(self.recordings, marks, strict=False) if mark)

    def start_over(self) -> None:
        """Drop all results, because the source has changed: it settles again, and earlier failures do not count.

        Raises:
            OSError, DiskFullError, StorageError: not now; call again later.
        """
        self.clear(but={MANIFEST, SIDECAR, LEASE_FILE, LOCK_FILE, *(path.name for path in self.recordings)})
        manifest = replace(self.manifest, consecutive_failures=0, interruptions=0, worked_s=0.0)
        self.manifest = replace(manifest, result=None, error=None, checkpoint=None)
        self.save(JobState.SETTLING)

    def reopen(self) -> bool:
        """Return a done job to its last step if its source is still there: a share that is away looks empty.

        Returns:
            Whether the job was reopened.
        """
        if not self.holds_input():
            return False
        self.manifest.retire.clear()
        self.save(JobState.FAILING if self.manifest.error else JobState.DELIVERING)
        return True

    def clear(self, *, but: Collection[str]) -> None:
        """Remove everything in the directory except the names in ``but``."""
        for path in self.folder.iterdir():
            if path.name not in but:
                remove_path(path)

    def remove_parts(self) -> None:
        """Remove the unfinished files of an earlier worker, which may still be alive and writing to them."""
        for part in self.folder.rglob("*.part"):
            part.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the directory, the manifest last, so that a crash in between leaves a readable job.

        Raises:
            OSError: not now; ENOTEMPTY if the directory holds a file that a user dropped; such a file is never removed.
        """
        if self.holds_input():
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), str(self.source))
        self.clear(but={MANIFEST})
        (self.folder / MANIFEST).unlink(missing_ok=True)
        self.folder.rmdir()


def _is_altered(path: Path, queued: FileMark) -> bool:
    if has_gone(path):
        return False
    with suppress(OSError):  # opening makes a network file system ask its server (close-to-open, nfs(5))
        os.close(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC))
    now = path.lstat()
    # SMB cuts off the last digits of a time, which the host that queued the job may have seen.
    same = now.st_size == queued.size and now.st_mtime_ns // 1000 == queued.mtime_ns // 1000
    return stat.S_ISREG(now.st_mode) and not same


def create_job(jobs: Path, manifest: Manifest, lease: Lease) -> Job:
    """Create a job directory that holds our lease from the start.

    Raises:
        OSError, DiskFullError, StorageError: the share cannot be written.
    """
    job = Job(jobs / manifest.job, manifest)
    job.folder.mkdir()
    try:
        leases.write(job.folder, lease)
        job.save()
        sync_directory(jobs)
    except (OSError, ExplainedError):
        with suppress(OSError):
            job.remove()
        raise
    return job


def load_job(folder: Path) -> Job:
    """Read a job directory.

    Raises:
        ValueError: the manifest is damaged, no plain file, or that of another job.
        OSError: it cannot be read; FileNotFoundError if it does not exist.
    """
    try:
        manifest = manifest_json.decode(read_plain(folder / MANIFEST, _LARGEST_BYTES))
    except OSError as exc:
        if exc.errno in NO_PLAIN_FILE:
            raise ValueError(str(exc)) from exc
        raise
    if leases.job_id_of(manifest.job) != leases.job_id_of(folder.name):
        raise ValueError(f"it is that of the job {manifest.job!r}")
    return Job(folder, manifest)


def job_folders(jobs: Path) -> Iterator[Path]:
    """Yield all job directories below ``jobs``, sorted by name."""
    yield from sorted(path for path in jobs.iterdir() if path.is_dir() and not path.is_symlink())


def new_job_id() -> str:
    """Return an id that sorts by time and is unique among all hosts."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(4)}"


def remove_path(path: Path) -> None:
    """Remove a file, a folder with its content, or a link (not its target)."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
