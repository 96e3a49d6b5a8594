"""Claiming: a file is renamed from an inbox into a new job directory; of many hosts exactly one succeeds.

The recording is renamed first, because that decides which host wins; further parts and a sidecar follow. After a
crash in between, recovery completes the claim.
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
    """Claim a file.

    Returns:
        The job, in state SETTLING (see ``is_quiet``), or None if the file has gone: another host, or its owner, was
        faster.

    Raises:
        OSError: not now; the file stays in the inbox (EBUSY, a program that holds it open, no permission, EXDEV).
        DiskFullError, StorageError: the share cannot be written.
    """
    _check_sidecar(candidate, inbox_dir)
    with storage_errors("claiming a file"):
        job = create_job(share.jobs, _manifest(share, candidate, inbox_dir), lease)
    try:
        won = _take(inbox_dir, candidate.relative, job.source)
    except OSError:
        with suppress(OSError):  # if the file arrived in it after all, recovery finds it there
            job.remove()
        raise
    if not won:
        job.remove()
        return None
    complete(share, job)
    return job


def complete(share: Share, job: Job) -> None:
    """Complete a claim whose source is in the job directory: take the parts and the sidecar, unless they have gone.

    Raises:
        DiskFullError, StorageError: the share cannot be written.
    """
    inbox_dir = share.root / job.manifest.inbox
    with storage_errors("claiming a file"):
        _take_parts(job, inbox_dir)
        if job.manifest.sidecar and FileMark.of(job.sidecar) is None:
            _take_sidecar(job, inbox_dir)
        sync_directory(job.folder)
        with suppress(FileNotFoundError):  # somebody has removed the empty folder
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
    """Take the parts in order; if one has gone meanwhile, the recording ends before it."""
    wanted = list(job.manifest.parts)
    for number, (relative, target) in enumerate(zip(wanted, job.parts, strict=True)):
        if FileMark.of(target) is None and not _take(inbox_dir, relative, target):
            job.manifest.parts = wanted[:number]
            break


def _take_sidecar(job: Job, inbox_dir: Path) -> None:
    """Take the sidecar; if something else has taken its place, that stays, and the job fails with its name."""
    manifest = job.manifest
    relative = manifest.sidecar_name or sidecar_name(manifest.relative)  # earlier versions allowed this name only
    manifest.sidecar = _take(inbox_dir, relative, job.sidecar)
    if not manifest.sidecar:
        with suppress(OSError):
            fault = fault_of((inbox_dir / relative).lstat().st_mode)
            manifest.sidecar_fault = fault and f"{PurePath(relative).name} is {fault}"


def _check_sidecar(candidate: Candidate, inbox_dir: Path) -> None:
    """Check that the sidecar is as the last scan saw it.

    Raises:
        BlockingIOError: it is new or has changed, and must settle first.
    """
    path = PurePath(candidate.sidecar.relative if candidate.sidecar else sidecar_name(candidate.relative))
    try:
        with open_folder(inbox_dir, path.parent) as folder_fd:
            present = os.stat(path.name, dir_fd=folder_fd, follow_symlinks=False)
    except OSError:  # there is none, or the recording itself cannot be reached either
        return
    seen = candidate.sidecar.signature if candidate.sidecar else None
    if Signature.of(present) != seen:
        raise BlockingIOError(errno.EAGAIN, "its sidecar has not settled")


def _take(inbox_dir: Path, relative: str, target: Path) -> bool:
    """Rename a file without following links; a lost reply (source gone, target present) counts as success."""
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
        # A link, device or folder has taken the file's place at the last moment: put it back.
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
    """Return whether a claimed file is unchanged, and no program on this machine has it open for writing.

    Raises:
        OSError: the file cannot be read.
    """
    return Signature.of(path.lstat()) == seen and not is_being_written(path)
