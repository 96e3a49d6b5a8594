"""The steps of a job that has no worker: settle, publish, move to ``failed``, and clear away."""

from __future__ import annotations

import stat

from daemon.clock import Clock
from daemon.config.settings import Settings
from daemon.errors import ManifestLostError
from daemon.inbox.stability import SettleTracker, Signature
from daemon.jobs import attempts
from daemon.jobs.claim import are_quiet
from daemon.jobs.delivery import Delivery
from daemon.jobs.held_jobs import HeldJob, HeldJobs
from daemon.jobs.job_spec import job_spec
from daemon.jobs.manifest import JobState
from daemon.jobs.segment_cache import SegmentCache, key_of
from daemon.observability.events import Delivered, EventBus, JobFailed
from daemon.pages.warnings_text import warnings_in
from daemon.share.naming import printable
from daemon.share.rename import FileMark
from daemon.share.share import Share
from daemon.worker.protocol import Failed
from pipeline.report.common import failure_report

_SEEN_BY_OTHERS = (JobState.DELIVERING, JobState.FAILING, JobState.DONE)


class JobSteps:
    """Takes the next step of a job, according to its state. Every step may be repeated after an error."""

    def __init__(
        self,
        settings: Settings,
        share: Share,
        held_jobs: HeldJobs,
        cache: SegmentCache,
        events: EventBus,
        *,
        settle_s: float,
        clock: Clock,
    ) -> None:
        self._held_jobs = held_jobs
        self._cache = cache
        self._events = events
        self._clock = clock
        self._delivery = Delivery(share)
        self.apply(settings, settle_s)

    def apply(self, settings: Settings, settle_s: float) -> None:
        """Use other settings from now on; files that are settling start again."""
        self._settings = settings
        polls = settings.settle.polls
        self._tracker = SettleTracker(quiet_s=settle_s, empty_s=settle_s, polls=polls, clock=self._clock)

    def take(self, held: HeldJob) -> None:
        """Take the next step.

        Raises:
            LeaseLostError: another host has taken the job over.
            ExplainedError, OSError: the step was not completed.
        """
        job = held.job
        state = job.manifest.state
        if state in _SEEN_BY_OTHERS:
            self._held_jobs.confirm(held)
        if state in (JobState.DELIVERING, JobState.FAILING) and self.settles_again(held):
            return
        if state is JobState.SETTLING:
            self._settle(held)
        elif state is JobState.DELIVERING:
            self._deliver(held)
        elif state is JobState.FAILING:
            self._fail(held)
        elif state is JobState.DONE and not job.reopen():
            self._cache.store(job)
            self._held_jobs.drop(held)
        elif state is JobState.WORKING:  # it has no worker, so the attempt could not start
            attempts.cancel(job)

    def queue(self, held: HeldJob) -> None:
        """Queue a job whose files have settled.

        Raises:
            OSError, DiskFullError, StorageError: its files cannot be read, or the manifest cannot be written.
        """
        held.reason = ""
        manifest = held.job.manifest
        marks = [FileMark.of(path) for path in held.job.recordings]
        manifest.source, manifest.part_marks = marks[0], [mark for mark in marks[1:] if mark]
        manifest.key = key_of(*held.job.recordings)
        held.job.save(JobState.QUEUED)
        held.log.info("job queued", stage="queued")

    def settles_again(self, held: HeldJob) -> bool:
        """Start a job over if its source has changed since it was queued, unless something is published already.

        Returns:
            Whether the job starts over.
        """
        job = held.job
        if job.manifest.publish or job.manifest.retire or not job.is_altered():
            return False
        job.start_over()
        held.log.warning("source has changed, job starts over", stage="settling")
        return True

    def _settle(self, held: HeldJob) -> None:
        found = {path: path.lstat() for path in held.job.inputs}
        if irregular := [path.name for path, entry in found.items() if not stat.S_ISREG(entry.st_mode)]:
            raise ManifestLostError(f"The job's {irregular[0]} is no regular file.")
        seen = {path: Signature.of(entry) for path, entry in found.items()}
        settled = [self._tracker.observe(path, signature) for path, signature in seen.items()]
        if not all(settled):
            held.reason = "somebody is still writing to it"
        elif are_quiet(seen.items()):
            for path in seen:
                self._tracker.forget(path)
            self.queue(held)

    def _deliver(self, held: HeldJob) -> None:
        video = self._delivery.deliver(held.job)
        result = held.job.manifest.result or {}
        held.log.info("job delivered", stage="delivered", output=printable(video), verdict=result.get("verdict"))
        for warning in warnings_in(result.get("facts", {})):
            where = {key: warning.get(key) for key in ("stream", "from_s", "to_s")}
            held.log.warning("the result lacks something", code=warning["code"], reason=warning["message"], **where)
        self._events.publish(Delivered(held.job, video))
        self.take(held)

    def _fail(self, held: HeldJob) -> None:
        failure = Failed(**(held.job.manifest.error or {}))
        spec = job_spec(self._settings, held.job, self._held_jobs.lease.host)
        report = self._delivery.fail(held.job, lambda: failure_report(spec, failure.for_report()))
        why = {"code": failure.code, "reason": failure.message, "remedy": failure.remedy}
        held.log.warning("job failed", stage="failed", **why, report=printable(report))
        self._events.publish(JobFailed(held.job, failure, report))
        self.take(held)
