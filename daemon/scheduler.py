"""The jobs of this service, each moved on step by step: settle, work, deliver or fail, with waits after trouble.

The scheduler never waits itself. Each ``advance`` does what can be done now.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

import structlog

from daemon import claims, placement, policy, recovery
from daemon.audience import Audience, Delivered, Ended, GivenUp, Postponed, Started
from daemon.claims import Candidate, is_quiet
from daemon.delivery import Delivery
from daemon.errors import (
    DaemonError,
    LeaseLostError,
    ManifestLostError,
    OutOfMemoryError,
    ShareAwayError,
    SourceGoneError,
)
from daemon.intake import Intake
from daemon.jobs import Job, State
from daemon.kept import KeptStates, key_of
from daemon.messages import Failed, Stopped
from daemon.moves import FileMark, has_gone
from daemon.naming import printable
from daemon.orders import job_slots, job_spec, work_order
from daemon.placement import Card
from daemon.policy import Next
from daemon.retry import Backoff
from daemon.settings import Settings
from daemon.settle import Clock, SettleTracker, Signature
from daemon.share import Share
from daemon.tasks import Task, Tasks
from daemon.warned import warnings_in
from daemon.workers import Died, Outcome, Pool, Stalled
from engines.errors import ExplainedError
from pipeline.durable import storage_errors
from pipeline.errors import DiskFullError
from pipeline.job import Progress
from pipeline.report import failure_report

_STARTS_AT_ONCE = 8  # files that refuse to be claimed must not hold up the loop
_HELD_BEYOND_SLOTS = 16  # claimed jobs that may wait (for space, say) before the inboxes keep the rest

_SEEN_BY_OTHERS = (State.DELIVERING, State.FAILING, State.DONE)

log = structlog.get_logger(__name__)


class Scheduler:
    """Holds the tasks and the pool of workers."""

    def __init__(
        self,
        settings: Settings,
        share: Share,
        intake: Intake,
        pool: Pool,
        kept: KeptStates,
        audience: Audience,
        *,
        settle_s: float,
        clock: Clock,
        cards: Sequence[Card] = (),
    ) -> None:
        self._settings = settings
        self._share = share
        self._intake = intake
        self._pool = pool
        self._kept = kept
        self._audience = audience
        self._delivery = Delivery(share)
        self._quiet = SettleTracker(quiet_s=settle_s, empty_s=settle_s, polls=settings.settle.polls, clock=clock)
        self._cards = cards
        self._slots = job_slots(settings)
        self._tasks = Tasks(settings, share, clock)
        self._claiming = Backoff(settings.retry, clock)
        self._stopping = False

    def adopt(self, settings: Settings, settle_s: float) -> None:
        """Go on with other settings; jobs that run keep theirs."""
        self._settings = settings
        self._slots = job_slots(settings)
        self._quiet = SettleTracker(
            quiet_s=settle_s, empty_s=settle_s, polls=settings.settle.polls, clock=self._quiet.clock
        )
        self._tasks.settings = settings

    # -- what others may see

    def running(self) -> Iterator[tuple[Job, Progress | None]]:
        for task in self._tasks:
            if task.job.id in self._pool:
                yield task.job, self._pool.progress(task.job.id)

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
        on_cards = len(self._cards) * self._jobs_per_card()
        return min(self._slots, on_cards) if self._cards else self._slots

    # -- moving on

    def listen(self) -> None:
        """Take in what workers have said and how they have ended. Needs no share."""
        for job_id, outcome in self._pool.poll():
            if task := self._tasks.get(job_id):
                self._ended(task, outcome)

    def advance(self, *, may_start: bool, may_claim: bool = True) -> None:
        """Do what can be done now for every job, and start work while there is room.

        Args:
            may_start: jobs may be started; may_claim: and files be taken out of the inboxes for that.
        """
        for task in self._tasks.keep_up():
            self._lose(task)
        for task in self._tasks:
            self._heed(task, self._pool.progress(task.job.id))
            if task.job.id not in self._pool and task.due:
                self._guard(task, self._step)
        for _ in range(_STARTS_AT_ONCE):
            if not (may_start and self._has_room() and self._start_one(may_claim=may_claim)):
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
        if failure.environmental or manifest.state is State.FAILING or manifest.publish:
            self._wait(task, failure)  # what is half published is published in the end
        else:
            policy.give_up(manifest, failure)

    def _wait(self, task: Task, failure: Failed) -> None:
        if failure.code == DiskFullError.code:  # a quota, perhaps, that the free space does not show
            with suppress(OSError):
                self._kept.make_room()
        task.wait(failure)
        self._audience.tell(Postponed(task.job, failure))

    def _lose(self, task: Task) -> None:
        """The job's directory has gone: another host has it, unless it is the whole share that has gone.

        Raises:
            ShareAwayError: it is the share.
        """
        self._share.identity()
        task.log.warning("job lost to another host")
        self._pool.kill(task.job.id)
        self._tasks.drop(task)

    # -- one step of one job, by its state

    def _step(self, task: Task) -> None:
        state = task.job.manifest.state
        if state in _SEEN_BY_OTHERS:
            self._tasks.confirm(task)
        if state in (State.DELIVERING, State.FAILING) and self._settles_anew(task):
            return
        if state is State.SETTLING:
            self._settle(task)
        elif state is State.DELIVERING:
            self._deliver(task)
        elif state is State.FAILING:
            self._fail(task)
        elif state is State.DONE and not task.job.reopen():
            self._kept.retire(task.job)
            self._tasks.drop(task)
        elif state is State.WORKING:  # no worker: it could not be started
            task.job.manifest.attempts -= 1
            task.job.save(State.QUEUED)

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
        job.begin_anew()
        task.log.warning("source written to while it was worked on, begun anew", stage="settling")
        return True

    def _queue(self, task: Task) -> None:
        task.reason = ""
        task.job.manifest.source = FileMark.of(task.job.source)
        task.job.manifest.key = key_of(task.job.source)
        task.job.save(State.QUEUED)
        task.log.info("job queued", stage="queued")

    def _deliver(self, task: Task) -> None:
        video = self._delivery.deliver(task.job)
        result = task.job.manifest.result or {}
        task.log.info("job delivered", stage="delivered", output=printable(video), verdict=result.get("verdict"))
        for warned in warnings_in(result.get("facts", {})):
            told = {key: warned.get(key) for key in ("stream", "from_s", "to_s")}
            task.log.warning("the result lacks something", code=warned["code"], reason=warned["message"], **told)
        self._audience.tell(Delivered(task.job, video))
        self._step(task)

    def _fail(self, task: Task) -> None:
        failure = Failed(**(task.job.manifest.error or {}))
        spec = job_spec(self._settings, task.job, self._tasks.lease.host)
        report = self._delivery.fail(task.job, lambda: failure_report(spec, failure.error()))
        why = {"code": failure.code, "reason": failure.message, "remedy": failure.remedy}
        task.log.warning("job failed", stage="failed", **why, report=printable(report))
        self._audience.tell(GivenUp(task.job, failure, report))
        self._step(task)

    # -- work

    def _has_room(self) -> bool:
        if self._stopping or len(self._pool) >= self._slots or self._somebody_runs_alone():
            return False
        strained, cards = self._strained(), self._calm_cards()
        if None in strained or (self._cards and not cards):
            return False
        return placement.has_room(cards, self._busy(), self._jobs_per_card())

    def _strained(self) -> set[int | None]:
        return policy.strained((job.manifest, progress) for job, progress in self.running())

    def _calm_cards(self) -> list[Card]:
        strained = self._strained()
        return [card for card in self._cards if card.index not in strained]

    def _busy(self) -> list[int | None]:
        return [job.manifest.card for job, _ in self.running()]

    def _jobs_per_card(self) -> int:
        return placement.jobs_per_card(self._settings.device.jobs_per_card, self._slots, len(self._cards))

    def _card_for(self, task: Task) -> Card | None:
        """Where it goes on; after trouble on one card, on another."""
        shunned = task.job.manifest.card if task.code else None
        index = placement.place(self._calm_cards(), self._busy(), self._jobs_per_card(), shunned)
        return next((card for card in self._cards if card.index == index), None)

    def _heed(self, task: Task, progress: Progress | None) -> None:
        """Make room where a job has come down because of the disk; a quota may not show in the free space."""
        level = progress.level if progress else ""
        if progress and level not in (task.level, "normal") and progress.trip == "disk_low":
            with suppress(OSError):
                self._kept.make_room()
        task.level = level

    def _somebody_runs_alone(self) -> bool:
        return any(policy.runs_alone(job.manifest) for job, _ in self.running())

    def _start_one(self, *, may_claim: bool) -> bool:
        """Start the next job that was claimed before, else claim one; False when there was nothing to do."""
        queued = [task for task in self.waiting() if task.job.manifest.state is State.QUEUED and task.due]
        if not queued:
            return may_claim and self._claim_one()
        task = min(queued, key=lambda t: (-t.job.manifest.priority, t.job.manifest.claimed_at_s))
        if policy.runs_alone(task.job.manifest) and len(self._pool):
            return False
        self._guard(task, self._start)
        return True

    def _start(self, task: Task) -> None:
        job = task.job
        self._tasks.confirm(task)
        if has_gone(job.source):
            raise SourceGoneError("The source has gone from the job's directory.")
        if self._settles_anew(task):
            return
        card = self._card_for(task)
        order = work_order(self._settings, job, self._tasks.lease, card)
        self._kept.give(job)
        job.manifest.checkpoint = recovery.checkpoint_mark(job)
        job.manifest.card = None if card is None else card.index
        self._count_attempt(job)
        longest_s = order.limits.wall_s - job.manifest.worked_s
        self._pool.start(job.id, order, task.log, longest_s=longest_s)
        task.begin()
        on_card = {} if card is None else {"card": card.index}
        self._audience.tell(Started(job))
        task.log.info("job started", stage="working", attempt=job.manifest.attempts, **on_card)

    def _count_attempt(self, job: Job) -> None:
        job.manifest.attempts += 1
        try:
            job.save(State.WORKING)
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
            wait_s = self._claiming.fail()
            log.warning(
                "cannot claim", code=exc.code, reason=exc.message, remedy=exc.remedy, retry_in_s=round(wait_s, 1)
            )
        else:
            inbox.forget(candidate.relative)
            self._claiming.succeed()
            self._welcome(job, candidate)
        return True

    def _welcome(self, job: Job | None, candidate: Candidate) -> None:
        if job is None:
            return
        task = self._tasks.hold(job)
        task.log.info("job claimed", stage="claimed", size_bytes=candidate.found.signature.size)
        self._guard(task, lambda t: self._queue(t) if _still_quiet(job, candidate) else None)

    def _ended(self, task: Task, outcome: Outcome) -> None:
        outcome = self._judge(outcome)
        task.end()
        self._audience.tell(Ended(task.job, outcome))
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
    found = [found.signature for found in (candidate.found, candidate.sidecar) if found]
    return all(is_quiet(path, signature) for path, signature in zip(job.inputs, found, strict=False))
