"""The jobs that this service holds: taken up at the start or from hosts that have gone, leased, and let go."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog

from daemon.backoff import SOON_S, Backoff
from daemon.clock import Clock
from daemon.config.settings import Settings
from daemon.errors import DeliveryError, LeaseLostError, ShareAwayError, SplitShareError
from daemon.jobs import recovery
from daemon.jobs.job import Job, job_folders
from daemon.share import leases
from daemon.share.leases import Lease, LeaseWatch
from daemon.share.share import Share, locks_reach_all
from daemon.status.model import now
from daemon.status.store import read_status_file
from daemon.worker.protocol import Failed
from engines.errors import ExplainedError
from pipeline.errors import DiskFullError, StorageError
from pipeline.job import RESTING

STORAGE_TROUBLE = {
    error.code for error in (DiskFullError, StorageError, DeliveryError, ShareAwayError, SplitShareError)
}
_MOVING = ("render", "listen", "assemble", "verify", "debug")

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Task:
    """A job that this service holds.

    Attributes:
        reason: why it waits, "" where it does not.
        code, remedy: which error that was, and what to do about it; "" where there was none.
        since: when the waiting began, "" where the job does not wait; a try in between does not end it.
    """

    job: Job
    backoff: Backoff
    log: structlog.stdlib.BoundLogger
    reason: str = ""
    code: str = ""
    remedy: str = ""
    since: str = ""
    begun_at: float = 0.0

    @property
    def due(self) -> bool:
        """Whether it may be tried again: after its wait, or where it was the share's, as soon as anybody asks."""
        return self.backoff.due or self.code == ShareAwayError.code

    @property
    def lacks_space(self) -> bool:
        """Whether it waits for space on the disk."""
        return self.code == DiskFullError.code

    def begin(self) -> None:
        """An attempt begins."""
        self.begun_at = self.backoff.clock()
        self.reason = self.code = self.remedy = ""

    def heed(self, stage: str) -> None:
        """Take note of its worker's stage."""
        if stage in RESTING:
            self.since = self.since or now()
        elif stage in _MOVING:
            self.since = ""

    def end(self) -> None:
        """An attempt has ended: its time counts."""
        self.job.manifest.worked_s += self.backoff.clock() - self.begun_at

    def wait(self, failure: Failed) -> None:
        """Leave the job be for a while; the reason is logged when it is a new one."""
        wait_s = self.backoff.fail(SOON_S if failure.code in STORAGE_TROUBLE else math.inf)
        if not self.since or (self.code and self.code != failure.code):
            self.since = now()
        if self.reason != failure.message:
            told = {"code": failure.code, "reason": failure.message, "retry_in_s": round(wait_s, 1)}
            self.log.warning("job waits", stage=self.job.manifest.state.value, **told)
        self.reason, self.code, self.remedy = failure.message, failure.code, failure.remedy


class Tasks:
    """All held jobs by id, and the leases that tell other hosts so."""

    def __init__(self, settings: Settings, share: Share, clock: Clock) -> None:
        self.settings = settings
        self._share = share
        self._clock = clock
        self._due = clock()
        self._foreign = LeaseWatch(expire_s=settings.leases.expire_s, clock=clock)
        self._held: dict[str, Task] = {}
        self.lease = Lease.mine(settings.leases)

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[Task]:
        return iter(list(self._held.values()))

    def get(self, job: str) -> Task | None:
        return self._held.get(job)

    def hold(self, job: Job) -> Task:
        bound = log.bind(job=job.id, file=job.label)
        task = Task(job, Backoff(self.settings.retry, self._clock), bound)
        self._held[job.id] = task
        return task

    def drop(self, task: Task) -> None:
        self._held.pop(task.job.id, None)

    def is_elsewhere(self, task: Task) -> bool:
        """Whether the directory of a lost job is there under another name, which a taker has given it."""
        return any(leases.first_name(folder.name) == task.job.id for folder in job_folders(self._share.jobs))

    def has_others(self) -> bool:
        """Whether another service is at work on the share: it may have done a lost job already."""
        statuses = (read_status_file(path) for path in self._share.hosts.glob("*.json") if path.stem != self.lease.host)
        return any(board is not None and board.state != "stopped" for board in statuses)

    def confirm(self, task: Task) -> None:
        """Make sure that a job is still ours, before something is done that others see.

        Raises:
            LeaseLostError: another host has taken it over.
            StorageError: the share does not answer.
        """
        leases.confirm(task.job.folder, self.lease)

    def keep_up(self) -> Iterator[Task]:
        """Renew the leases and look for jobs without an owner, if it is time; yields the jobs that were lost.

        Raises:
            OSError: the share cannot be read.
        """
        if self._clock() < self._due:
            return
        self._due = self._clock() + self.settings.leases.renew_s
        self.lease = self.lease.renewed()
        for task in self:
            if not self._renew(task):
                yield task
        self._take_up()

    def _renew(self, task: Task) -> bool:
        try:
            leases.renew(task.job.folder, self.lease)
        except LeaseLostError:
            return False
        except ExplainedError as exc:  # whoever needs to write will say it louder
            task.log.debug("lease not renewed", reason=exc.message)
        return True

    def _take_up(self) -> None:
        """Adopt the jobs of this host (at its start) and those of hosts that have gone."""
        held = {task.job.folder.name for task in self}
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
            self._adopt(folder)
        elif self._foreign.expired(folder.name, lease) and (taken := leases.take_over(folder)):
            log.info("job taken over from another host", job=folder.name, host=lease.host if lease else None)
            self._adopt(taken)

    def _is_of_former_run(self, lease: Lease) -> bool:
        """Whether a service of this name had it that has certainly gone: we hold the lock of the name now.

        A lock that other machines do not see proves that only where the same kernel still runs. Else it may be another
        machine of the same name, a clone perhaps, so its lease is watched like any other.
        """
        if lease.host != self.lease.host:
            return False
        return lease.boot_id == self.lease.boot_id or locks_reach_all(self._share.hosts)

    def _adopt(self, folder: Path) -> None:
        job = recovery.adopt(self._share, folder, self.lease, max_attempts=self.settings.workers.max_attempts)
        if job is not None:
            self.hold(job)
