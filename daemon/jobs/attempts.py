"""What a job's manifest records of its attempts: their number, their GPU, and how they end."""

from __future__ import annotations

from dataclasses import asdict

from daemon.executor.protocol import Place
from daemon.jobs.fault_policy import Action, Decision, FaultCounts
from daemon.jobs.job import Job
from daemon.jobs.manifest import JobState, Manifest
from daemon.share.rename import FileMark
from daemon.worker.protocol import Failed
from engines.errors import ExplainedError
from pipeline.workdir import CHECKPOINT

_NEXT_STATES = {Action.DELIVER: JobState.DELIVERING, Action.FAIL: JobState.FAILING}


def begin(job: Job, place: Place) -> None:
    """Record that an attempt begins.

    Raises:
        OSError: the checkpoint cannot be read.
        DiskFullError, StorageError: the manifest cannot be written; no attempt is counted.
    """
    job.manifest.checkpoint = _checkpoint_mark(job)
    job.manifest.node, job.manifest.gpu = place.key
    job.manifest.compute_class = place.compute_class
    job.manifest.attempts += 1
    try:
        job.save(JobState.WORKING)
    except ExplainedError:
        job.manifest.attempts -= 1
        raise


def cancel(job: Job) -> None:
    """Record that an attempt could not start.

    Raises:
        DiskFullError, StorageError: the manifest cannot be written.
    """
    job.manifest.attempts -= 1
    job.save(JobState.QUEUED)


def counts(manifest: Manifest) -> FaultCounts:
    """Return the counts on which the next decision depends."""
    return FaultCounts(manifest.consecutive_failures, manifest.interruptions)


def record(manifest: Manifest, decision: Decision) -> None:
    """Enter the decision that follows from the end of an attempt; the caller saves the manifest."""
    manifest.consecutive_failures = decision.counts.failures
    manifest.interruptions = decision.counts.interruptions
    manifest.attempts -= not decision.attempt_counts
    manifest.state = _NEXT_STATES.get(decision.action, JobState.QUEUED)
    if decision.result is not None:
        manifest.result = asdict(decision.result)
    if decision.action is Action.FAIL and decision.failure is not None:
        fail(manifest, decision.failure)


def fail(manifest: Manifest, failure: Failed) -> None:
    """Enter that the job goes to ``failed``; the caller saves the manifest."""
    manifest.state, manifest.error = JobState.FAILING, asdict(failure)


def has_progressed(job: Job) -> bool:
    """Return whether the last attempt has written a checkpoint."""
    try:
        mark = _checkpoint_mark(job)
    except OSError:
        return False
    return mark is not None and mark != job.manifest.checkpoint


def wanted_class(job: Job) -> str:
    """Return the compute class on which the job can go on; "" if it has nothing to go on with, or any will do."""
    wanted = job.manifest.compute_class
    try:
        return wanted if wanted and _checkpoint_mark(job) else ""
    except OSError:
        return wanted


def _checkpoint_mark(job: Job) -> FileMark | None:
    return FileMark.of(job.folder / CHECKPOINT)
