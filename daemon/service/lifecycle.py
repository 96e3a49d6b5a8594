"""The life-cycle of held jobs: claimed, attempts with their results, delivered or failed, with waits after trouble.

Nothing here blocks: each call does what can be done now.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial

from daemon.clock import Clock, Every
from daemon.config.settings import Settings
from daemon.errors import DaemonError, JobRemovedError, LeaseLostError, OutOfMemoryError, SourceGoneError
from daemon.executor.crews import Crews
from daemon.executor.protocol import Died, Executor, Outcome, Place
from daemon.inbox.candidate import Candidate
from daemon.jobs import attempts, fault_policy
from daemon.jobs.claim import are_quiet
from daemon.jobs.fault_policy import Action, FaultPolicy
from daemon.jobs.held_jobs import HeldJob, HeldJobs
from daemon.jobs.job import Job
from daemon.jobs.job_spec import work_order
from daemon.jobs.manifest import JobState
from daemon.jobs.outcome_errors import share_failure
from daemon.jobs.segment_cache import SegmentCache
from daemon.observability.events import AttemptEnded, AttemptStarted, EventBus, JobDeferred, JobFailed
from daemon.service.job_overview import JobOverview
from daemon.service.job_steps import JobSteps
from daemon.share.rename import has_gone
from daemon.share.share import Share
from daemon.worker.protocol import Failed, Stopped
from engines.errors import ExplainedError
from pipeline.degradation.space import mib
from pipeline.durable import storage_errors
from pipeline.errors import DiskFullError

_FREE_SPACE_EVERY_S = 1.0
_SPACE_UNIT = "MiB"  # in messages that already contain the free space


class JobLifecycle:
    """Moves jobs from state to state, and records in their manifests what follows from trouble."""

    def __init__(
        self,
        settings: Settings,
        share: Share,
        held_jobs: HeldJobs,
        executor: Executor,
        crews: Crews,
        cache: SegmentCache,
        events: EventBus,
        *,
        settle_s: float,
        clock: Clock,
    ) -> None:
        self._share = share
        self._held_jobs = held_jobs
        self._executor = executor
        self._crews = crews
        self._cache = cache
        self._events = events
        self._jobs = JobOverview(held_jobs, executor)
        self._steps = JobSteps(settings, share, held_jobs, cache, events, settle_s=settle_s, clock=clock)
        self._space_cleanups = Every(_FREE_SPACE_EVERY_S, clock)
        self._stopping = False
        self._use(settings)

    def apply(self, settings: Settings, settle_s: float) -> None:
        """Use other settings from now on; attempts that run keep theirs."""
        self._use(settings)
        self._steps.apply(settings, settle_s)

    def _use(self, settings: Settings) -> None:
        self._settings = settings
        self._policy = FaultPolicy(settings.workers.max_attempts)

    def stop(self) -> None:
        """Attribute the ends of attempts to the service from now on: it is stopping its workers."""
        self._stopping = True

    def advance(self) -> None:
        """Renew the leases, and take the next step of every job that has no worker and is not waiting.

        Raises:
            ShareAwayError, OSError: the share cannot be read.
        """
        for held in self._held_jobs.renew():
            self._drop_lost(held)
        for held in self._held_jobs:
            if progress := self._executor.progress(held.job.id):
                held.note_stage(progress.stage)
            if held.job.id not in self._executor and held.due:
                self._run_step(held, self._steps.take)
        self._free_space()

    def accept(self, job: Job, candidate: Candidate) -> None:
        """Hold a job that was just claimed, and queue it if its files are still as they were in the inbox."""
        held = self._held_jobs.hold(job)
        size_bytes = sum(found.signature.size for found in (candidate.found, *candidate.parts))
        parts = {"parts": 1 + len(job.manifest.parts)} if job.manifest.parts else {}
        held.log.info("job claimed", stage="claimed", size_bytes=size_bytes, **parts)
        self._run_step(held, partial(self._queue_if_quiet, candidate))

    def _queue_if_quiet(self, candidate: Candidate, held: HeldJob) -> None:
        if _still_quiet(held.job, candidate):
            self._steps.queue(held)

    # -- attempts

    def start_attempt(self, held: HeldJob, place: Place) -> None:
        """Start a worker for a job; the job waits if that is not possible."""
        self._run_step(held, partial(self._start, place))

    def _start(self, place: Place, held: HeldJob) -> None:
        job, gpu = held.job, place.gpu
        self._held_jobs.confirm(held)
        if any(map(has_gone, job.recordings)):
            raise SourceGoneError("The source has gone from the job's directory.")
        if self._steps.settles_again(held):
            return
        order = work_order(self._settings, job, self._held_jobs.lease, gpu)
        self._cache.restore(job)
        attempts.begin(job, place)
        longest_s = order.limits.wall_s - job.manifest.worked_s
        self._crews.prepare(job.id, order, held.log, place)
        self._executor.start(job.id, order, held.log, place=place, longest_s=longest_s)
        held.begin_attempt()
        on_gpu = {} if gpu is None else {"gpu": gpu.index}
        self._events.publish(AttemptStarted(job))
        held.log.info("job started", stage="working", attempt=job.manifest.attempts, **on_gpu)

    def end_attempt(self, job_id: str, outcome: Outcome) -> None:
        """Record how an attempt has ended, and what follows. Needs no share: what cannot be written is retried."""
        held = self._held_jobs.get(job_id)
        if held is None:
            return
        held.must_move = isinstance(outcome, Died) and outcome.may_still_run
        share_check = partial(share_failure, self._share)
        outcome = fault_policy.attribute(outcome, stopping=self._stopping, share_failure=share_check)
        if fault_policy.is_work(outcome):
            held.count_work()
        self._events.publish(AttemptEnded(held.job, outcome))
        self._decide(held, outcome)
        if isinstance(outcome, Stopped):
            held.log.info("job stopped", stage="stopped")
        self._run_step(held, self._save)

    def _decide(self, held: HeldJob, outcome: Outcome) -> None:
        manifest = held.job.manifest
        progressed = attempts.has_progressed(held.job)
        decision = self._policy.after_attempt(attempts.counts(manifest), outcome, progressed=progressed)
        attempts.record(manifest, decision)
        if decision.action in (Action.RETRY, Action.DEFER) and decision.failure is not None:
            self._defer(held, decision.failure)
        else:
            held.backoff.succeed()

    def _save(self, held: HeldJob) -> None:
        self._held_jobs.confirm(held)
        held.job.save()

    # -- trouble

    def _run_step(self, held: HeldJob, step: Callable[[HeldJob], None]) -> None:
        """Run one step; trouble that is not the file's fault makes the job wait."""
        try:
            with storage_errors("working on the share"):
                self._held_jobs.secure(held)
                step(held)
        except LeaseLostError:
            self._run_step(held, self._drop_lost)
        except ExplainedError as exc:
            self._handle_trouble(held, exc)
        except MemoryError:
            self._defer(held, Failed.of(OutOfMemoryError("The service itself ran out of memory.")))
        except Exception as exc:
            held.log.exception("the program failed on a job")
            self._handle_trouble(held, DaemonError(f"The program failed: {type(exc).__name__}: {exc}"))

    def _handle_trouble(self, held: HeldJob, error: ExplainedError) -> None:
        manifest, failure = held.job.manifest, share_failure(self._share) or Failed.of(error)
        must_complete = manifest.state is JobState.FAILING or bool(manifest.publish)
        if self._policy.after_trouble(failure, must_complete=must_complete) is Action.DEFER:
            self._defer(held, failure)
        else:
            attempts.fail(manifest, failure)

    def _defer(self, held: HeldJob, failure: Failed) -> None:
        if failure.code == DiskFullError.code and _SPACE_UNIT not in failure.message:
            with suppress(OSError):
                message = f"{failure.message} ({mib(self._share.free_bytes())} free)"
                failure = replace(failure, message=message)
        held.wait(failure)
        self._events.publish(JobDeferred(held.job, failure))

    def _drop_lost(self, held: HeldJob) -> None:
        """Drop a job whose directory has gone: another host has taken it over, or somebody has removed it.

        Raises:
            ShareAwayError: the whole share has gone, or the services' folder on it.
        """
        self._share.identity()
        self._executor.kill(held.job.id)
        self._held_jobs.drop(held)
        if self._held_jobs.may_be_done_elsewhere(held):
            held.log.warning("job lost to another host")
            return
        failure = Failed.of(JobRemovedError(f"The job directory {held.job.folder.name} has been removed."))
        held.log.warning("job directory has gone", code=failure.code, reason=failure.message, remedy=failure.remedy)
        self._events.publish(JobFailed(held.job, failure, ""))

    def _free_space(self) -> None:
        """Remove cached segments bit by bit while a job waits for space; the free space may not show a quota."""
        if any(self._jobs.lacking_space()) and self._space_cleanups.due():
            with suppress(OSError):
                self._cache.free_space()


def _still_quiet(job: Job, candidate: Candidate) -> bool:
    """Return whether the claimed files are unchanged since the scan of the inbox; then they need not settle again."""
    found = [*zip(job.recordings, (candidate.found, *candidate.parts), strict=False)]
    if candidate.sidecar and job.manifest.sidecar:
        found.append((job.sidecar, candidate.sidecar))
    return are_quiet((path, seen.signature) for path, seen in found)
