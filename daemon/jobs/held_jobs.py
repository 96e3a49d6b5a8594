"""The jobs that this service holds: it renews their leases, and takes up jobs that have no owner any more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog

from daemon.backoff import Backoff
from daemon.clock import Clock, Every, utc_now
from daemon.config.settings import Settings
from daemon.errors import LeaseLostError, NoNodeOfClassError
from daemon.jobs import fault_policy, recovery
from daemon.jobs.fault_policy import FaultPolicy
from daemon.jobs.job import Job, job_folders
from daemon.share import leases
from daemon.share.leases import Lease, LeaseWatch
from daemon.share.share import Share, locks_reach_all
from daemon.worker.protocol import Failed
from engines.errors import ExplainedError
from pipeline.errors import DiskFullError
from pipeline.job import PRODUCTIVE_STAGES, RESTING

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class HeldJob:
    """A job that this service holds.

    Attributes:
        reason: why it waits, "" if it does not.
        code, remedy: of the error for which it waits, "" without one.
        since: when the wait began, "" if the job does not wait; an attempt in between does not end the wait.
        begun_at: monotonic time at which the last attempt began.
        must_move: whether a worker that nobody reaches may still write to the job's directory.
        classless_since: monotonic time since when no node has the job's compute class; None while one has.
    """

    job: Job
    backoff: Backoff
    log: structlog.stdlib.BoundLogger
    reason: str = ""
    code: str = ""
    remedy: str = ""
    since: str = ""
    begun_at: float = 0.0
    must_move: bool = False
    classless_since: float | None = None

    @property
    def due(self) -> bool:
        """Whether it may be tried again."""
        return self.backoff.due or fault_policy.may_retry_at_once(self.code)

    @property
    def lacks_space(self) -> bool:
        """Whether it waits for space on the disk."""
        return self.code == DiskFullError.code

    def begin_attempt(self) -> None:
        """Note that an attempt begins."""
        self.begun_at = self.backoff.clock()
        self.reason = self.code = self.remedy = ""

    def note_stage(self, stage: str) -> None:
        """Begin or end the wait according to the stage of the job's worker."""
        if stage in RESTING:
            self.since = self.since or utc_now()
        elif stage in PRODUCTIVE_STAGES:
            self.since = ""

    def count_work(self) -> None:
        """Add the time of the attempt that has just ended to the job's working time."""
        self.job.manifest.worked_s += self.backoff.clock() - self.begun_at

    def show(self, failure: Failed | None) -> None:
        """Show why the job waits although it is due; None: it waits for its turn alone."""
        if failure is None and self.code == NoNodeOfClassError.code:
            self.reason = self.code = self.remedy = self.since = ""
        elif failure is not None and self.code != failure.code:
            self.reason, self.code, self.remedy, self.since = failure.message, failure.code, failure.remedy, utc_now()
            self.log.warning("job waits", stage=self.job.manifest.state.value, code=failure.code, reason=self.reason)

    def wait(self, failure: Failed) -> None:
        """Let the job wait before it is tried again; only a new reason is logged."""
        wait_s = self.backoff.fail(fault_policy.longest_wait_s(failure.code))
        if not self.since or (self.code and self.code != failure.code):
            self.since = utc_now()
        if self.reason != failure.message:
            why = {"code": failure.code, "reason": failure.message, "retry_in_s": round(wait_s, 1)}
            self.log.warning("job waits", stage=self.job.manifest.state.value, **why)
        self.reason, self.code, self.remedy = failure.message, failure.code, failure.remedy


class HeldJobs:
    """All held jobs by id.

    Args:
        others_active: returns whether another service works on the share.
    """

    def __init__(self, settings: Settings, share: Share, clock: Clock, others_active: Callable[[], bool]) -> None:
        self._share = share
        self._clock = clock
        self._others_active = others_active
        self._on_cluster = settings.cluster.engine == "ray"  # a worker of a former run may still write at a lost node
        self._renewals = Every(settings.leases.renew_s, clock)
        self._foreign = LeaseWatch(expire_s=settings.leases.expire_s, clock=clock)
        self._held: dict[str, HeldJob] = {}
        self.lease = Lease.mine(settings.leases)
        self.apply(settings)

    def apply(self, settings: Settings) -> None:
        """Use other settings for the jobs that are held from now on; those for leases need a restart."""
        self._retry = settings.retry
        self._policy = FaultPolicy(settings.workers.max_attempts)

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[HeldJob]:
        return iter(list(self._held.values()))

    def get(self, job: str) -> HeldJob | None:
        """Return the held job of an id; None if it is not held."""
        return self._held.get(job)

    def hold(self, job: Job) -> HeldJob:
        """Add a job that this service has the lease of."""
        bound = log.bind(job=job.id, file=job.label)
        held = HeldJob(job, Backoff(self._retry, self._clock), bound)
        self._held[job.id] = held
        return held

    def drop(self, held: HeldJob) -> None:
        """Remove a job; its lease is not renewed any more."""
        self._held.pop(held.job.id, None)

    def secure(self, held: HeldJob) -> None:
        """Move the directory of a job whose last worker may still run: that one's paths are then gone.

        Raises:
            LeaseLostError: another host has taken the job over.
            OSError, DiskFullError, StorageError: the share does not answer; try again later.
        """
        if not held.must_move:
            return
        moved = leases.take_over(held.job.folder)
        held.must_move = False
        if moved is None:
            raise LeaseLostError(f"The job directory {held.job.folder.name} has been taken over, or removed.")
        held.job.folder = moved
        leases.write(moved, self.lease)
        held.job.remove_parts()

    def may_be_done_elsewhere(self, held: HeldJob) -> bool:
        """Return whether another host has a lost job, or may have finished it already."""
        return self._is_elsewhere(held) or self._others_active()

    def confirm(self, held: HeldJob) -> None:
        """Check the lease of a job before a step that others see.

        Raises:
            LeaseLostError: another host has taken the job over.
            StorageError: the share does not answer.
        """
        leases.confirm(held.job.folder, self.lease)

    def _is_elsewhere(self, held: HeldJob) -> bool:
        """Return whether a lost job's directory has the name that another host gives it when it takes the job over."""
        return any(leases.job_id_of(folder.name) == held.job.id for folder in job_folders(self._share.jobs))

    def renew(self) -> Iterator[HeldJob]:
        """Renew the leases and take up jobs without an owner, if it is time; yield the jobs that were lost.

        Raises:
            OSError: the share cannot be read.
        """
        if not self._renewals.due():
            return
        self.lease = self.lease.renewed()
        for held in self:
            if not self._renew(held):
                yield held
        self._take_up()

    def _renew(self, held: HeldJob) -> bool:
        try:
            leases.renew(held.job.folder, self.lease)
        except LeaseLostError:
            return False
        except ExplainedError as exc:  # the next step that writes reports it
            held.log.debug("lease not renewed", reason=exc.message)
        return True

    def _take_up(self) -> None:
        """Adopt the jobs of an earlier run of this host and those of hosts whose leases have expired."""
        held = {held.job.folder.name for held in self}
        present = list(job_folders(self._share.jobs))
        for folder in present:
            if folder.name not in held:
                try:
                    self._consider(folder)
                except (OSError, ExplainedError) as exc:
                    log.warning("job cannot be taken up", job=folder.name, reason=str(exc))
        self._foreign.keep_only({folder.name for folder in present})

    def _consider(self, folder: Path) -> None:
        lease = leases.read(folder)
        if lease is not None and self._is_of_former_run(lease):
            self._adopt(leases.take_over(folder) if self._on_cluster else folder)
        elif self._foreign.expired(folder.name, lease) and (taken := leases.take_over(folder)):
            log.info("job taken over from another host", job=folder.name, host=lease.host if lease else None)
            self._adopt(taken)

    def _is_of_former_run(self, lease: Lease) -> bool:
        """Return whether a service of this name held the job and has certainly ended: this one has the name's lock.

        If other machines do not see the lock, that is certain only within one boot. Otherwise the holder may be
        another machine with the same name, such as a clone, so its lease is watched like any other.
        """
        if lease.host != self.lease.host:
            return False
        return lease.boot_id == self.lease.boot_id or locks_reach_all(self._share.hosts)

    def _adopt(self, folder: Path | None) -> None:
        if folder is None:
            return
        job = recovery.adopt(self._share, folder, self.lease, policy=self._policy)
        if job is not None:
            self.hold(job)
