"""Claiming: of many hosts that see a file, exactly one gets it, by renaming it into its own job directory.

Further parts and a sidecar go along: the recording first, because that decides who wins, then they. A crash in between
is made good when the job is taken up again.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path, PurePath

from daemon.inbox.candidate import Candidate
from daemon.inbox.open_writers import is_being_written
from daemon.inbox.sidecar_names import fault_of
from daemon.inbox.stability import Signature
from daemon.jobs.job import Job, create_job, new_job_id
from daemon.jobs.manifest import JobState, Manifest
from daemon.share.leases import Lease
from daemon.share.naming import sidecar_name
from daemon.share.rename import FileMark, move_no_replace, open_folder
from daemon.share.share import Share
from engines.files import sync_directory
from pipeline.durable import storage_errors


def claim(share: Share, candidate: Candidate, inbox_dir: Path, lease: Lease) -> Job | None:
    """Take a file out of its inbox.

    Returns:
        The job, in state SETTLING (see ``is_quiet``), or None where there was no file any more: another host, or
        its owner, was faster.

    Raises:
        OSError: not now; the file stays where it is (EBUSY, a program that holds it open, no permission, EXDEV).
        DiskFullError, StorageError: the share cannot be written.
    """
    _check_sidecar(candidate, inbox_dir)
    with storage_errors("claiming a file"):
        job = create_job(share.jobs, _manifest(share, candidate, inbox_dir), lease)
    try:
        won = _take(inbox_dir, candidate.relative, job.source)
    except OSError:
        with suppress(OSError):  # what may have come into it after all stays there, and is found by the next look
            job.remove()
        raise
    if not won:
        job.remove()
        return None
    complete(share, job)
    return job


def complete(share: Share, job: Job) -> None:
    """Bring a claim whose source has been won to its end: the sidecar comes along, unless it has gone meanwhile.

    Raises:
        DiskFullError, StorageError: the share cannot be written.
    """
    inbox_dir = share.root / job.manifest.inbox
    with storage_errors("claiming a file"):
        _take_parts(job, inbox_dir)
        if job.manifest.sidecar and FileMark.of(job.sidecar) is None:
            _take_sidecar(job, inbox_dir)
        sync_directory(job.folder)
        with suppress(FileNotFoundError):  # somebody has tidied up the emptied folder
            sync_directory((inbox_dir / job.manifest.relative).parent)
    job.save(JobState.SETTLING)


def _manifest(share: Share, candidate: Candidate, inbox_dir: Path) -> Manifest:
    beside = candidate.sidecar
    return Manifest(
        job=new_job_id(),
        inbox=str(share.relative(inbox_dir)),
        relative=candidate.relative,
        profile=candidate.inbox.profile,
        priority=candidate.inbox.priority,
        parts=[part.relative for part in candidate.parts],
        sidecar=beside is not None and not beside.fault,
        sidecar_name=beside.relative if beside else "",
        sidecar_fault=f"{PurePath(beside.relative).name} is {beside.fault}" if beside and beside.fault else "",
        claimed_at_s=time.time(),
    )


def _take_parts(job: Job, inbox_dir: Path) -> None:
    """Take the parts along, in order; where one has gone meanwhile, the recording ends before it."""
    wanted = list(job.manifest.parts)
    for number, (relative, target) in enumerate(zip(wanted, job.parts, strict=True)):
        if FileMark.of(target) is None and not _take(inbox_dir, relative, target):
            job.manifest.parts = wanted[:number]
            break


def _take_sidecar(job: Job, inbox_dir: Path) -> None:
    """Take it along; what has taken its place at the last moment stays, and the job fails with its name."""
    manifest = job.manifest
    relative = manifest.sidecar_name or sidecar_name(manifest.relative)  # earlier versions knew one name only
    manifest.sidecar = _take(inbox_dir, relative, job.sidecar)
    if not manifest.sidecar:
        with suppress(OSError):
            fault = fault_of((inbox_dir / relative).lstat().st_mode)
            manifest.sidecar_fault = fault and f"{PurePath(relative).name} is {fault}"


def _check_sidecar(candidate: Candidate, inbox_dir: Path) -> None:
    """A sidecar that the last scan did not see, or saw otherwise, must settle first.

    Raises:
        BlockingIOError: so it is.
    """
    path = PurePath(candidate.sidecar.relative if candidate.sidecar else sidecar_name(candidate.relative))
    try:
        with open_folder(inbox_dir, path.parent) as folder_fd:
            there = os.stat(path.name, dir_fd=folder_fd, follow_symlinks=False)
    except OSError:  # none, or the recording itself cannot be reached either
        return
    seen = candidate.sidecar.signature if candidate.sidecar else None
    if Signature.of(there) != seen:
        raise BlockingIOError(errno.EAGAIN, "its sidecar has not settled")


def _take(inbox_dir: Path, relative: str, target: Path) -> bool:
    """Rename, through no link; a lost reply (source gone, destination there) is a win."""
    path = PurePath(relative)
    try:
        with open_folder(inbox_dir, path.parent) as folder_fd:
            os.rename(path.name, target, src_dir_fd=folder_fd)
    except OSError as exc:
        if FileMark.of(target) is None:
            if isinstance(exc, FileNotFoundError):
                return False
            raise
    if not stat.S_ISREG(target.lstat().st_mode):
        # A link, device or folder took the file's place at the last moment: it is not ours to touch.
        move_no_replace(target, inbox_dir / relative)
        return False
    return True


def are_quiet(files: Iterable[tuple[Path, Signature]]) -> bool:
    """Return whether all files, given with their last signatures, are quiet (see ``is_quiet``).

    Raises:
        OSError: a file cannot be read.
    """
    return all(is_quiet(path, seen) for path, seen in files)


def is_quiet(path: Path, seen: Signature) -> bool:
    """Whether a claimed file is still what was seen before, and nobody on this machine writes to it.

    Raises:
        OSError: the file cannot be looked at.
    """
    return Signature.of(path.lstat()) == seen and not is_being_written(path)
