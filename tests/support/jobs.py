"""Held jobs on a share in a temporary folder, with an executor that starts no processes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from daemon.executor.crews import Crews
from daemon.jobs.held_jobs import HeldJob, HeldJobs
from daemon.jobs.job import Job
from daemon.jobs.manifest import JobState
from daemon.jobs.segment_cache import SegmentCache
from daemon.observability.events import Event, EventBus
from daemon.service.job_overview import JobOverview
from daemon.service.job_steps import JobSteps
from daemon.service.lifecycle import JobLifecycle
from daemon.share import leases
from daemon.share.share import Share
from tests.fakes.executor import ExecutorWithoutProcesses
from tests.support.share import claimed, settings_for


@dataclass
class ManualClock:
    """A clock that a test sets."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Jobs:
    """The parts of the service that hold and move jobs.

    Attributes:
        published: the events so far.
        others_active: whether another service works on the share.
    """

    share: Share
    sections: dict[str, Any] = field(default_factory=dict)
    published: list[Event] = field(default_factory=list)
    others_active: bool = False

    def __post_init__(self) -> None:
        self.clock = ManualClock()
        self.settings = settings_for(self.share.root, **self.sections)
        self.executor = ExecutorWithoutProcesses(self.settings)
        self.held = HeldJobs(self.settings, self.share, self.clock, others_active=lambda: self.others_active)
        self.overview = JobOverview(self.held, self.executor)
        self.cache = SegmentCache(self.share, self.settings.retention, self.clock)
        self.events = EventBus(self.published.append)

    def hold(self, job: Job) -> HeldJob:
        """Hold a job, with a lease of this service."""
        leases.write(job.folder, self.held.lease)
        return self.held.hold(job)

    def queued(self, name: str, *, priority: int = 0, claimed_at_s: float = 0.0) -> HeldJob:
        """Hold a queued job."""
        job = claimed(self.share, name)
        job.manifest.priority, job.manifest.claimed_at_s = priority, claimed_at_s
        job.save(JobState.QUEUED)
        return self.hold(job)

    def steps(self, settle_s: float = 0) -> JobSteps:
        return JobSteps(
            self.settings, self.share, self.held, self.cache, self.events, settle_s=settle_s, clock=self.clock
        )

    def lifecycle(self, settle_s: float = 0) -> JobLifecycle:
        return JobLifecycle(
            self.settings,
            self.share,
            self.held,
            self.executor,
            Crews(self.executor),
            self.cache,
            self.events,
            settle_s=settle_s,
            clock=self.clock,
        )
