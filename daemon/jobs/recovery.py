"""Recovery of jobs that an earlier run or another host has left on the share."""

from __future__ import annotations

import stat
from pathlib import Path

import structlog

from daemon.errors import ManifestLostError, SourceGoneError
from daemon.jobs import attempts
from daemon.jobs import claim as claims
from daemon.jobs.fault_policy import FaultPolicy
from daemon.jobs.job import Job, load_job
from daemon.jobs.manifest import JobState, Manifest
from daemon.layout import MANIFEST, PART, SOURCE
from daemon.share import leases
from daemon.share.leases import Lease
from daemon.share.rename import FileMark, has_gone
from daemon.share.share import Share
from daemon.worker.protocol import Failed

log = structlog.get_logger(__name__)


def adopt(share: Share, folder: Path, lease: Lease, *, policy: FaultPolicy) -> Job | None:
    """Take over a job directory, and bring its manifest into a state from which work can go on.

    Returns:
        The job, or None if nothing is left to do; the directory is then gone.

    Raises:
        OSError, DiskFullError, StorageError, LeaseLostError: not now.
    """
    leases.write(folder, lease)
    job = _load(folder)
    if job is None:
        return None
    job.remove_parts()
    _bring_forward(share, job, policy)
    if job.manifest.state is JobState.DONE and not job.reopen():
        job.remove()
        return None
    job.save()
    log.info("job taken up", job=job.id, file=job.label, stage=job.manifest.state.value)
    return job


def _load(folder: Path) -> Job | None:
    try:
        return load_job(folder)
    except (FileNotFoundError, ValueError) as exc:
        if FileMark.of(folder / SOURCE) is not None or any(folder.glob(f"{PART}*")):
            return _rescue(folder, exc)
        Job(folder, Manifest(job=folder.name, inbox="", relative="", profile="")).remove()
        return None


def _rescue(folder: Path, reason: Exception) -> Job:
    """Return a job for a source without a readable manifest; it goes to ``failed`` under the job's id."""
    (folder / MANIFEST).unlink(missing_ok=True)
    there = folder.glob(f"{PART}[0-9][0-9][0-9][0-9]")
    last = max((int(path.name.removeprefix(PART)) for path in there), default=1)
    parts = [f"{folder.name}.{number}" for number in range(2, last + 1)]
    manifest = Manifest(job=folder.name, inbox="", relative=folder.name, profile="default", parts=parts)
    attempts.fail(manifest, Failed.of(ManifestLostError(f"The job's record cannot be read: {reason}")))
    return Job(folder, manifest)


def _bring_forward(share: Share, job: Job, policy: FaultPolicy) -> None:
    manifest = job.manifest
    has_source = not has_gone(job.source)
    if has_source and not stat.S_ISREG(job.source.lstat().st_mode):  # to open a pipe may block for ever
        attempts.fail(manifest, Failed.of(ManifestLostError("The job's source is no regular file.")))
    elif manifest.state is JobState.CLAIMING and has_source:
        claims.complete(share, job)
    elif manifest.state is JobState.CLAIMING:
        manifest.state = JobState.DONE
    elif manifest.state is JobState.WORKING:
        progressed = attempts.has_progressed(job)
        attempts.record(manifest, policy.after_crash(attempts.counts(manifest), progressed=progressed))
    if manifest.state in (JobState.SETTLING, JobState.QUEUED) and any(map(has_gone, job.recordings)):
        attempts.fail(manifest, Failed.of(SourceGoneError("The source has gone from the job's directory.")))
