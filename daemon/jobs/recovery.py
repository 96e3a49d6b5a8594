"""Taking up jobs that an earlier run, or another host, has left on the share."""

from __future__ import annotations

import stat
from pathlib import Path

import structlog

from daemon.errors import ManifestLostError, SourceGoneError
from daemon.jobs import claim as claims
from daemon.jobs import outcome_policy as policy
from daemon.jobs.job import MANIFEST, PART, SOURCE, Job, load_job
from daemon.jobs.manifest import JobState, Manifest
from daemon.share import leases
from daemon.share.leases import Lease
from daemon.share.rename import FileMark, has_gone
from daemon.share.share import Share
from daemon.worker.protocol import Failed
from pipeline.segments.checkpoint import FILE_NAME as CHECKPOINT

log = structlog.get_logger(__name__)


def adopt(share: Share, folder: Path, lease: Lease, *, max_attempts: int) -> Job | None:
    """Make a job directory ours and bring its manifest into a state to go on from.

    Returns:
        The job, or None where nothing is left to be done; the directory is then gone.

    Raises:
        OSError, DiskFullError, StorageError, LeaseLostError: not now.
    """
    leases.write(folder, lease)
    job = _load(folder)
    if job is None:
        return None
    job.remove_parts()
    _bring_forward(share, job, max_attempts)
    if job.manifest.state is JobState.DONE and not job.reopen():
        job.remove()
        return None
    job.save()
    log.info("job taken up", job=job.id, file=job.label, stage=job.manifest.state.value)
    return job


def checkpoint_mark(job: Job) -> FileMark | None:
    """What tells a new checkpoint from the one before."""
    return FileMark.of(job.folder / CHECKPOINT)


def has_progressed(job: Job) -> bool:
    """Whether the last attempt has written a checkpoint."""
    try:
        mark = checkpoint_mark(job)
    except OSError:
        return False
    return mark is not None and mark != job.manifest.checkpoint


def _load(folder: Path) -> Job | None:
    try:
        return load_job(folder)
    except (FileNotFoundError, ValueError) as exc:
        if FileMark.of(folder / SOURCE) is not None or any(folder.glob(f"{PART}*")):
            return _rescue(folder, exc)
        Job(folder, Manifest(job=folder.name, inbox="", relative="", profile="")).remove()
        return None


def _rescue(folder: Path, reason: Exception) -> Job:
    """A source without a readable manifest: only its name is lost; it goes to failed under the job's id."""
    (folder / MANIFEST).unlink(missing_ok=True)
    there = folder.glob(f"{PART}[0-9][0-9][0-9][0-9]")
    last = max((int(path.name.removeprefix(PART)) for path in there), default=1)
    parts = [f"{folder.name}.{number}" for number in range(2, last + 1)]
    manifest = Manifest(job=folder.name, inbox="", relative=folder.name, profile="default", parts=parts)
    policy.give_up(manifest, Failed.of(ManifestLostError(f"The job's record cannot be read: {reason}")))
    return Job(folder, manifest)


def _bring_forward(share: Share, job: Job, max_attempts: int) -> None:
    manifest = job.manifest
    has_source = not has_gone(job.source)
    if has_source and not stat.S_ISREG(job.source.lstat().st_mode):  # whoever opened it might wait for ever
        policy.give_up(manifest, Failed.of(ManifestLostError("The job's source is no regular file.")))
    elif manifest.state is JobState.CLAIMING and has_source:
        claims.complete(share, job)
    elif manifest.state is JobState.CLAIMING:
        manifest.state = JobState.DONE
    elif manifest.state is JobState.WORKING:
        policy.after_crash(manifest, progressed=has_progressed(job), max_attempts=max_attempts)
    if manifest.state in (JobState.SETTLING, JobState.QUEUED) and any(map(has_gone, job.recordings)):
        policy.give_up(manifest, Failed.of(SourceGoneError("The source has gone from the job's directory.")))
