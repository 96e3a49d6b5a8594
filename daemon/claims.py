"""Claiming: of many hosts that see a file, exactly one gets it, by renaming it into its own job directory."""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path, PurePath

from daemon import jobs
from daemon.jobs import Job, Manifest, State
from daemon.leases import Lease
from daemon.moves import FileMark, move_no_replace, open_folder
from daemon.scanner import Found
from daemon.settings import InboxSettings
from daemon.settle import Signature
from daemon.share import Share
from daemon.writers import is_being_written
from pipeline.durable import storage_errors, sync_directory


@dataclass(frozen=True, slots=True)
class Candidate:
    """A settled file in an inbox."""

    inbox: InboxSettings
    found: Found

    @property
    def relative(self) -> str:
        return self.found.relative


def claim(share: Share, candidate: Candidate, inbox_dir: Path, lease: Lease) -> Job | None:
    """Take a file out of its inbox.

    Returns:
        The job, in state SETTLING (see ``is_quiet``), or None where there was no file any more: another host, or
        its owner, was faster.

    Raises:
        OSError: not now; the file stays where it is (EBUSY, a program that holds it open, no permission).
        DiskFullError, StorageError: the share cannot be written.
    """
    job = jobs.create(share.jobs, _manifest(share, candidate, inbox_dir), lease)
    try:
        won = _take(inbox_dir, candidate.relative, job)
    except OSError:
        job.remove()
        raise
    if won and not stat.S_ISREG(job.source.lstat().st_mode):
        _give_back(inbox_dir, candidate.relative, job)
        won = False
    if not won:
        job.remove()
        return None
    with storage_errors("claiming a file"):
        sync_directory(job.folder)
        sync_directory((inbox_dir / candidate.relative).parent)
    job.save(State.SETTLING)
    return job


def _manifest(share: Share, candidate: Candidate, inbox_dir: Path) -> Manifest:
    return Manifest(
        job=jobs.new_id(),
        inbox=str(share.relative(inbox_dir)),
        relative=candidate.relative,
        profile=candidate.inbox.profile,
        priority=candidate.inbox.priority,
        claimed_at_s=time.time(),
    )


def _take(inbox_dir: Path, relative: str, job: Job) -> bool:
    """Rename, through no link; a lost reply (source gone, destination there) is a win."""
    path = PurePath(relative)
    try:
        with open_folder(inbox_dir, path.parent) as folder_fd:
            os.rename(path.name, job.source, src_dir_fd=folder_fd)
    except FileNotFoundError:
        return FileMark.of(job.source) is not None
    return True


def _give_back(inbox_dir: Path, relative: str, job: Job) -> None:
    """A link, device or folder took the file's place at the last moment: it is not ours to touch."""
    move_no_replace(job.source, inbox_dir / relative)


def is_quiet(job: Job, seen: Signature) -> bool:
    """Whether the claimed source is still what was seen before, and nobody on this machine writes to it.

    Raises:
        OSError: the source cannot be looked at.
    """
    return Signature.of(job.source.lstat()) == seen and not is_being_written(job.source)
