"""The jobs of this service, each moved on step by step: settle, work, deliver or fail, with waits after trouble.

The scheduler never waits itself. Each ``advance`` does what can be done now.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice

import structlog

from daemon.backoff import SOON_S, Backoff
from daemon.clock import Clock
from daemon.config.settings import Settings
from daemon.errors import (
    DaemonError,
    JobRemovedError,
    LeaseLostError,
    ManifestLostError,
    OutOfMemoryError,
    ShareAwayError,
    SourceGoneError,
)
from daemon.inbox import joints
from daemon.inbox.candidate import Candidate
from daemon.inbox.chapter_groups import Joint
from daemon.inbox.inbox import Inbox, Intake
from daemon.inbox.stability import SettleTracker, Signature
from daemon.jobs import claim as claims
from daemon.jobs import gpu_placement as placement
from daemon.jobs import outcome_policy as policy
from daemon.jobs import recovery
from daemon.jobs.claim import is_quiet
from daemon.jobs.delivery import Delivery
from daemon.jobs.gpu_placement import GPU
from daemon.jobs.held_jobs import STORAGE_TROUBLE, Task, Tasks
from daemon.jobs.job import Job
from daemon.jobs.job_spec import job_slots, job_spec, work_order
from daemon.jobs.manifest import JobState
from daemon.jobs.outcome_policy import Next
from daemon.jobs.segment_cache import SegmentCache, key_of
from daemon.observability.events import AttemptEnded, AttemptStarted, Delivered, EventBus, JobDeferred, JobFailed
from daemon.pages.warnings_text import warnings_in
from daemon.share.naming import printable
from daemon.share.rename import FileMark, has_gone
from daemon.share.share import Share
from daemon.worker.pool import Died, Outcome, Pool, Stalled
from daemon.worker.protocol import Compare, Compared, Failed, Stopped
from engines.errors import ExplainedError
from pipeline.degradation.space import mib
from pipeline.durable import storage_errors
from pipeline.errors import DiskFullError
from pipeline.job import Progress
from pipeline.report.common import failure_report

_STARTS_AT_ONCE = 8  # files that refuse to be claimed must not hold up the loop
_HELD_BEYOND_SLOTS = 16  # claimed jobs that may wait (for space, say) before the inboxes keep the rest

_COMPARISON = "comparison of parts"  # in the pool's place of a job's id
_ROOM_EVERY_S = 1.0
_FIGURE = "MiB"  # in messages that tell how much space there is

_SEEN_BY_OTHERS = (JobState.DELIVERING, JobState.FAILING, JobState.DONE)

log = structlog.get_logger(__name__)


class Scheduler:
    """Holds the tasks and the pool of workers."""

    def __init__(
        self,
        settings: Settings,
        share: Share,
        intake: Intake,
        pool: Pool,
        kept: SegmentCache,
        events: EventBus,
        *,
        settle_s: float,
        clock: Clock,
        gpus: Sequence[GPU] = (),
    ) -> None:
        self._settings = settings
        self._share = share
        self._intake = intake
        self._pool = pool
        self._kept = kept
        self._events = events
        self._delivery = Delivery(share)
        self._quiet = SettleTracker(quiet_s=settle_s, empty_s=settle_s, polls=settings.settle.polls, clock=clock)
        self._gpus = gpus
        self._slots = job_slots(settings)
        self._tasks = Tasks(settings, share, clock)
        self._claiming = Backoff(settings.retry, clock)
        self._clock = clock
        self._room_at = clock()
        self._stopping = False
        self._comparing: tuple[Inbox, Joint] | None = None
        self._comparisons = Backoff(settings.retry, clock)

    def adopt(self, settings: Settings, settle_s: float) -> None:
        """Go on with other settings; jobs that run keep theirs."""
        self._settings = settings
        self._slots = job_slots(settings)
        self._quiet = SettleTracker(
            quiet_s=settle_s, empty_s=settle_s, polls=settings.settle.polls, clock=self._quiet.clock
        )
        self._tasks.settings = settings

    # -- what others may see

    def at_work(self) -> Iterator[tuple[Task, Progress | None]]:
        """The jobs that have a worker, and how far it is."""
        for task in self._tasks:
            if task.job.id in self._pool:
                yield task, self._pool.progress(task.job.id)

    def running(self) -> Iterator[tuple[Job, Progress | None]]:
        yield from ((task.job, progress) for task, progress in self.at_work())

    def lacking_space(self) -> Iterator[tuple[str, str]]:
        """Of each job that waits for space: since when, and what is lacking."""
        for task, progress in self.at_work():
            if progress and progress.stage == "space":
                yield task.since, progress.lacks
        yield from ((task.since, task.reason) for task in self.waiting() if task.lacks_space)

    def waiting(self) -> Iterator[Task]:
        for task in self._tasks:
            if task.job.id not in self._pool:
                yield task

    @property
    def held(self) -> int:
        """Jobs that are neither delivered nor failed yet."""
        return len(self._tasks)

    @property
    def slots(self) -> int:
        """Jobs that may run side by side."""
        on_gpus = len(self._gpus) * self._jobs_per_gpu()
        return min(self._slots, on_gpus) if self._gpus else self._slots

    # -- moving on

    def listen(self) -> None:
        """Take in what workers have said and how they have ended. Needs no share."""
        for job_id, outcome in self._pool.poll():
            if job_id == _COMPARISON:
                self._compared(outcome)
            elif task := self._tasks.get(job_id):
                self._ended(task, outcome)

    def advance(self, *, may_start: bool, may_claim: bool = True, may_resume: bool = False) -> None:
        """Do what can be done now for every job, and start work while there is room.

        Args:
            may_start: jobs may be started; may_claim: and files be taken out of the inboxes for that.
            may_resume: even where they may not, jobs that were broken off for want of space may go on.
        """
        for task in self._tasks.keep_up():
            self._lose(task)
        for task in self._tasks:
            if progress := self._pool.progress(task.job.id):
                task.heed(progress.stage)
            if task.job.id not in self._pool and task.due:
                self._guard(task, self._step)
        if may_claim and not self._stopping:
            self._compare()
        self._make_room()
        for _ in range(_STARTS_AT_ONCE):
            may = may_start or (may_resume and any(task.lacks_space for task in self.waiting()))
            if not (may and self._has_room() and self._start_one(may_start=may_start, may_claim=may_claim)):
                break

    def stop(self) -> None:
        """Start nothing more; workers checkpoint and end."""
        self._stopping = True
        self._pool.stop()

    def _guard(self, task: Task, action: Callable[[Task], None]) -> None:
        """Run one step; trouble that is not the file's fault makes the job wait."""
        try:
            with storage_errors("working on the share"):
                action(task)
        except LeaseLostError:
            self._guard(task, self._lose)
        except ExplainedError as exc:
            self._trouble(task, exc)
        except MemoryError:
            self._wait(task, Failed.of(OutOfMemoryError("The service itself found no memory any more.")))
        except Exception as exc:
            task.log.exception("the program failed on a job")
            self._trouble(task, DaemonError(f"The program failed: {type(exc).__name__}: {exc}"))

    def _trouble(self, task: Task, error: ExplainedError) -> None:
        manifest, failure = task.job.manifest, self._away() or Failed.of(error)
        if failure.environmental or manifest.state is JobState.FAILING or manifest.publish:
            self._wait(task, failure)  # what is half published is published in the end
        else:
            policy.give_up(manifest, failure)

    def _wait(self, task: Task, failure: Failed) -> None:
        if failure.code == DiskFullError.code and _FIGURE not in failure.message:
            with suppress(OSError):
                words = f"{failure.message} ({mib(self._share.free_bytes())} free)"
                failure = replace(failure, message=words)
        task.wait(failure)
        self._events.tell(JobDeferred(task.job, failure))

    def _lose(self, task: Task) -> None:
        """The job's directory has gone: another host has it, or somebody has removed it.

        Raises:
            ShareAwayError: the whole share has gone, or all that the services keep on it.
        """
        self._share.identity()
        self._pool.kill(task.job.id)
        self._tasks.drop(task)
        if self._tasks.is_elsewhere(task) or self._tasks.has_others():
            task.log.warning("job lost to another host")
            return
        failure = Failed.of(JobRemovedError(f"The job directory {task.job.folder.name} has been removed."))
        task.log.warning("job directory has gone", code=failure.code, reason=failure.message, remedy=failure.remedy)
        self._events.tell(JobFailed(task.job, failure, ""))

    # -- one step of one job, by its state

    def _step(self, task: Task) -> None:
        state = task.job.manifest.state
        if state in _SEEN_BY_OTHERS:
            self._tasks.confirm(task)
        if state in (JobState.DELIVERING, JobState.FAILING) and self._settles_anew(task):
            return
        if state is JobState.SETTLING:
            self._settle(task)
        elif state is JobState.DELIVERING:
            self._deliver(task)
        elif state is JobState.FAILING:
            self._fail(task)
        elif state is JobState.DONE and not task.job.reopen():
            self._kept.retire(task.job)
            self._tasks.drop(task)
        elif state is JobState.WORKING:  # no worker: it could not be started
            task.job.manifest.attempts -= 1
            task.job.save(JobState.QUEUED)

    def _settle(self, task: Task) -> None:
        found = {path: path.lstat() for path in task.job.inputs}
        if strange := [path.name for path, entry in found.items() if not stat.S_ISREG(entry.st_mode)]:
            raise ManifestLostError(f"The job's {strange[0]} is no regular file.")
        seen = {path: Signature.of(entry) for path, entry in found.items()}
        settled = [self._quiet.observe(path, signature) for path, signature in seen.items()]
        if not all(settled):
            task.reason = "somebody is still writing to it"
        elif all(is_quiet(path, signature) for path, signature in seen.items()):
            for path in seen:
                self._quiet.forget(path)
            self._queue(task)

    def _settles_anew(self, task: Task) -> bool:
        """Begin again where the source was written to while it was worked on, unless something is published already."""
        job = task.job
        if job.manifest.publish or job.manifest.retire or not job.is_altered():
            return False
        job.start_over()
        task.log.warning("source written to while it was worked on, begun anew", stage="settling")
        return True

    def _queue(self, task: Task) -> None:
        task.reason = ""
        marks = [FileMark.of(path) for path in task.job.recordings]
        task.job.manifest.source, task.job.manifest.part_marks = marks[0], [mark for mark in marks[1:] if mark]
        task.job.manifest.key = key_of(*task.job.recordings)
        task.job.save(JobState.QUEUED)
        task.log.info("job queued", stage="queued")

    def _deliver(self, task: Task) -> None:
        video = self._delivery.deliver(task.job)
        result = task.job.manifest.result or {}
        task.log.info("job delivered", stage="delivered", output=printable(video), verdict=result.get("verdict"))
        for warned in warnings_in(result.get("facts", {})):
            told = {key: warned.get(key) for key in ("stream", "from_s", "to_s")}
            task.log.warning("the result lacks something", code=warned["code"], reason=warned["message"], **told)
        self._events.tell(Delivered(task.job, video))
        self._step(task)

    def _fail(self, task: Task) -> None:
        failure = Failed(**(task.job.manifest.error or {}))
        spec = job_spec(self._settings, task.job, self._tasks.lease.host)
        report = self._delivery.fail(task.job, lambda: failure_report(spec, failure.error()))
        why = {"code": failure.code, "reason": failure.message, "remedy": failure.remedy}
        task.log.warning("job failed", stage="failed", **why, report=printable(report))
        self._events.tell(JobFailed(task.job, failure, report))
        self._step(task)

    # -- work

    def _has_room(self) -> bool:
        if self._stopping or self._at_work >= self._slots or self._somebody_runs_alone():
            return False
        strained, gpus = self._strained(), self._calm_gpus()
        if None in strained or (self._gpus and not gpus):
            return False
        return placement.has_room(gpus, self._busy(), self._jobs_per_gpu())

    @property
    def _at_work(self) -> int:
        return len(self._pool) - (_COMPARISON in self._pool)

    def _strained(self) -> set[int | None]:
        return policy.strained((job.manifest, progress) for job, progress in self.running())

    def _calm_gpus(self) -> list[GPU]:
        strained = self._strained()
        return [gpu for gpu in self._gpus if gpu.index not in strained]

    def _busy(self) -> list[int | None]:
        return [job.manifest.gpu for job, _ in self.running()]

    def _jobs_per_gpu(self) -> int:
        return placement.jobs_per_card(self._settings.device.jobs_per_card, self._slots, len(self._gpus))

    def _gpu_for(self, task: Task) -> GPU | None:
        """Where it goes on; after trouble on one GPU, on another."""
        avoid_gpu = task.job.manifest.gpu if task.code else None
        index = placement.place(self._calm_gpus(), self._busy(), self._jobs_per_gpu(), avoid_gpu)
        return next((gpu for gpu in self._gpus if gpu.index == index), None)

    def _make_room(self) -> None:
        """Remove kept state bit by bit while a job waits for space; a quota may not show in the free space."""
        if self._clock() >= self._room_at and any(self.lacking_space()):
            self._room_at = self._clock() + _ROOM_EVERY_S
            with suppress(OSError):
                self._kept.make_room()

    def _somebody_runs_alone(self) -> bool:
        return any(policy.runs_alone(job.manifest) for job, _ in self.running())

    def _start_one(self, *, may_start: bool, may_claim: bool) -> bool:
        """Start the next job that was claimed before, else claim one; False when there was nothing to do."""
        queued = [task for task in self.waiting() if task.job.manifest.state is JobState.QUEUED and task.due]
        queued = [task for task in queued if may_start or task.lacks_space]
        if not queued:
            return may_claim and self._claim_one()
        task = min(queued, key=lambda t: (-t.job.manifest.priority, t.job.manifest.claimed_at_s))
        if policy.runs_alone(task.job.manifest) and self._at_work:
            return False
        self._guard(task, self._start)
        return True

    def _start(self, task: Task) -> None:
        job = task.job
        self._tasks.confirm(task)
        if any(map(has_gone, job.recordings)):
            raise SourceGoneError("The source has gone from the job's directory.")
        if self._settles_anew(task):
            return
        gpu = self._gpu_for(task)
        order = work_order(self._settings, job, self._tasks.lease, gpu)
        self._kept.give(job)
        job.manifest.checkpoint = recovery.checkpoint_mark(job)
        job.manifest.gpu = None if gpu is None else gpu.index
        self._count_attempt(job)
        longest_s = order.limits.wall_s - job.manifest.worked_s
        self._pool.start(job.id, order, task.log, longest_s=longest_s)
        task.begin()
        on_gpu = {} if gpu is None else {"gpu": gpu.index}
        self._events.tell(AttemptStarted(job))
        task.log.info("job started", stage="working", attempt=job.manifest.attempts, **on_gpu)

    def _count_attempt(self, job: Job) -> None:
        job.manifest.attempts += 1
        try:
            job.save(JobState.WORKING)
        except ExplainedError:
            job.manifest.attempts -= 1
            raise

    def _claim_one(self) -> bool:
        may_hold = len(self._tasks) < self._slots + _HELD_BEYOND_SLOTS
        chosen = self._intake.choose() if may_hold and self._claiming.due else None
        if chosen is None:
            return False
        inbox, candidate = chosen
        if not inbox.may_take(candidate):
            return True
        try:
            job = claims.claim(self._share, candidate, inbox.folder, self._tasks.lease)
        except OSError as exc:
            inbox.not_taken(candidate, exc)
        except ExplainedError as exc:
            inbox.forget(candidate.relative)
            wait_s = self._claiming.fail(SOON_S)
            log.warning(
                "cannot claim", code=exc.code, reason=exc.message, remedy=exc.remedy, retry_in_s=round(wait_s, 1)
            )
        else:
            for found in (candidate.found, *candidate.parts):
                inbox.forget(found.relative)
            self._claiming.succeed()
            self._welcome(job, candidate)
        return True

    def _compare(self) -> None:
        """Have two files compared that may be parts of one recording, one pair at a time."""
        if self._comparing or not self._comparisons.due:
            return
        found = ((inbox, joint) for inbox in self._intake.inboxes if (joint := inbox.open_joint()))
        for inbox, joint in islice(found, 1):
            first, second = (inbox.folder / one.relative for one in (joint.first, joint.second))
            order = Compare(first, second, joint.certain_names, self._settings.workers.limits)
            try:
                self._pool.start(_COMPARISON, order, log, longest_s=joints.TIMEOUT_S)
                self._comparing = inbox, joint
            except OSError as exc:
                log.warning("parts cannot be compared", reason=str(exc), retry_in_s=round(self._comparisons.fail(), 1))

    def _compared(self, outcome: Outcome) -> None:
        """Note what was found out; files that no comparison survives are recordings of their own."""
        comparing, self._comparing = self._comparing, None
        if comparing is None or self._stopping:
            return
        inbox, joint = comparing
        if isinstance(outcome, Failed) and (outcome.environmental or self._away()):
            wait_s = self._comparisons.fail()
            log.warning("parts cannot be compared", reason=outcome.message, retry_in_s=round(wait_s, 1))
            return
        self._comparisons.succeed()
        follows = isinstance(outcome, Compared) and outcome.follows
        inbox.decide(joint, follows=follows)
        pair = {"file": printable(joint.first.relative), "next": printable(joint.second.relative)}
        log.info("parts compared", **pair, follows=follows)

    def _welcome(self, job: Job | None, candidate: Candidate) -> None:
        if job is None:
            return
        task = self._tasks.hold(job)
        size_bytes = sum(found.signature.size for found in (candidate.found, *candidate.parts))
        parts = {"parts": 1 + len(job.manifest.parts)} if job.manifest.parts else {}
        task.log.info("job claimed", stage="claimed", size_bytes=size_bytes, **parts)
        self._guard(task, lambda t: self._queue(t) if _still_quiet(job, candidate) else None)

    def _ended(self, task: Task, outcome: Outcome) -> None:
        outcome = self._judge(outcome)
        if not (isinstance(outcome, Failed) and outcome.code in STORAGE_TROUBLE):  # waiting for space is no work
            task.end()
        self._events.tell(AttemptEnded(task.job, outcome))
        decision = policy.after_worker(
            task.job.manifest,
            outcome,
            progressed=recovery.has_progressed(task.job),
            max_attempts=self._settings.workers.max_attempts,
        )
        if decision is Next.WAIT:
            self._wait(task, policy.explain(outcome))
        else:
            task.backoff.succeed()
        if isinstance(outcome, Stopped):
            task.log.info("job stopped", stage="stopped")
        self._guard(task, self._save)

    def _save(self, task: Task) -> None:
        self._tasks.confirm(task)
        task.job.save()

    def _judge(self, outcome: Outcome) -> Outcome:
        """The outcome without what is not the job's fault."""
        if self._stopping and isinstance(outcome, Died | Stalled):
            return Stopped()  # we killed it, because it took too long to stop
        if isinstance(outcome, Failed | Died | Stalled):
            return self._away() or outcome
        return outcome

    def _away(self) -> Failed | None:
        """The absence of the share, to which any trouble is put down; None while it is there."""
        try:
            self._share.identity()
        except ShareAwayError as exc:
            return Failed.of(exc)
        return None


def _still_quiet(job: Job, candidate: Candidate) -> bool:
    """Whether the claimed files are what was seen in the inbox, so that they need not settle again."""
    found = [*zip(job.recordings, (candidate.found, *candidate.parts), strict=False)]
    if candidate.sidecar and job.manifest.sidecar:
        found.append((job.sidecar, candidate.sidecar))
    return all(is_quiet(path, seen.signature) for path, seen in found)
