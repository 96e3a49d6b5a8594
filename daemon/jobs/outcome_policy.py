"""What happens to a job after its worker has ended: a pure decision, from counts that the manifest keeps.

A job is given up after ``max_attempts`` bad ends in a row. An attempt that has written a new checkpoint has moved
the job on, so the row starts anew with it: a long file survives many accidents, a file that kills its worker at one
place does not. The death of the whole service may be the file's doing (memory), but mostly is not: it counts less.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from enum import Enum

from daemon.errors import DaemonError, OutOfMemoryError, ResourceLimitError, WorkerDiedError, WorkerStalledError
from daemon.jobs.manifest import JobState, Manifest
from daemon.worker.pool import Died, Outcome, Overdue, Stalled
from daemon.worker.protocol import Failed, Finished, Stopped
from pipeline.job import Progress

_ALONE_FROM = 2  # bad ends in a row after which a job runs alone
_INTERRUPTIONS_PER_ATTEMPT = 5
_LIMITS = {"SIGXCPU": "cpu_s", "SIGXFSZ": "file_bytes"}  # the kernel's word for a limit
_MEMORY_WORDS = ("std::bad_alloc", "MemoryError", "Cannot allocate memory", "out of memory")  # last words of libraries


class Next(Enum):
    """What to do with the job now."""

    GO_ON = "go on"  # as its new state says
    WAIT = "wait"  # start it again, but later


def after_worker(manifest: Manifest, outcome: Outcome, *, progressed: bool, max_attempts: int) -> Next:
    """Record in the manifest how an attempt has ended.

    Args:
        progressed: the attempt has written a new checkpoint.
    """
    if progressed:
        manifest.consecutive_failures = manifest.interruptions = 0
    if isinstance(outcome, Finished):
        manifest.state, manifest.result = JobState.DELIVERING, asdict(outcome)
        return Next.GO_ON
    manifest.state = JobState.QUEUED
    if isinstance(outcome, Stopped):
        manifest.attempts -= 1
        return Next.GO_ON
    failure = explain(outcome)
    if failure.environmental:
        manifest.attempts -= 1
        return Next.WAIT
    manifest.consecutive_failures += 1
    if not failure.retryable or manifest.consecutive_failures >= max_attempts:
        give_up(manifest, failure)
        return Next.GO_ON
    return Next.WAIT


def after_crash(manifest: Manifest, *, progressed: bool, max_attempts: int) -> None:
    """Record in the manifest that the service died while the job was worked on."""
    if progressed:
        manifest.consecutive_failures = manifest.interruptions = 0
    manifest.interruptions += 1
    manifest.state = JobState.QUEUED
    if manifest.interruptions >= max_attempts * _INTERRUPTIONS_PER_ATTEMPT:
        times = manifest.interruptions
        give_up(manifest, Failed.of(WorkerDiedError(f"The service died {times} times while it worked on this file.")))


def give_up(manifest: Manifest, failure: Failed) -> None:
    """The job goes to failed."""
    manifest.state, manifest.error = JobState.FAILING, asdict(failure)


def runs_alone(manifest: Manifest) -> bool:
    """Whether the job was in flight at so many deaths that nothing else should suffer from the next."""
    return manifest.consecutive_failures >= _ALONE_FROM or manifest.interruptions >= _ALONE_FROM


def strained(running: Iterable[tuple[Manifest, Progress | None]]) -> set[int | None]:
    """GPUs on which a job is below normal, so that no other may start there; None stands for the whole host."""
    told = [(manifest.gpu, progress) for manifest, progress in running if progress is not None]
    below = {gpu for gpu, p in told if p.level != "normal" and p.trip != "decoder_errors"}
    return below | {None for _, p in told if p.stage == "space"}


def explain(outcome: Outcome) -> Failed:
    """The bad end of an attempt in words."""
    if isinstance(outcome, Failed):
        return outcome
    if isinstance(outcome, Stalled):
        return Failed.of(WorkerStalledError(f"Nothing moved for {outcome.seconds:.0f} seconds."))
    if isinstance(outcome, Overdue):
        return Failed.of(ResourceLimitError.of("wall_s"))
    if isinstance(outcome, Died) and outcome.signal_name in _LIMITS:
        return Failed.of(ResourceLimitError.of(_LIMITS[outcome.signal_name]))
    if isinstance(outcome, Died):
        return Failed.of(_death(outcome))
    return Failed.of(WorkerDiedError("The worker process ended without a result."))


def _death(died: Died) -> DaemonError:
    how = ": ".join(filter(None, [died.signal_name or f"exit status {died.exit_status}", died.words]))
    if any(word in died.words for word in _MEMORY_WORDS):
        return OutOfMemoryError(f"The worker process found no memory any more and died ({how}).")
    return WorkerDiedError(f"The worker process died ({how}).")
