"""Publishes the state of the service for people: the status page, and the status line of systemd."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import PurePath

import structlog

from daemon.clock import Clock
from daemon.config.settings import Settings, StatusSettings
from daemon.inbox.inbox import Inbox
from daemon.inbox.intake import Intake
from daemon.jobs.held_jobs import HeldJob
from daemon.jobs.start_conditions import BlockReason, Condition
from daemon.observability.events import EventBus, Tick
from daemon.remedies import remedy_of
from daemon.service.job_overview import JobOverview
from daemon.service.systemd import Systemd
from daemon.share.leases import host_name
from daemon.share.naming import valid_text
from daemon.share.share import Share
from daemon.status.model import (
    History,
    IgnoredFile,
    InboxLine,
    QueuedFile,
    RunningJob,
    ServiceState,
    ServiceStatus,
    WaitingJob,
    severity,
)
from daemon.status.page import StatusPage
from pipeline.job import RESTING, Progress

_NO_NODE = "no node of the cluster can work: start one (dualface node), see dualface cluster status"
_FILES_LISTED = 30  # of each kind, on the page

log = structlog.get_logger(__name__)


class StatusPublisher:
    """Shows the service's state on the status page and to systemd.

    Args:
        slots: returns how many jobs may run side by side.
        workers: returns how many part workers a job has.
    """

    def __init__(
        self,
        settings: Settings,
        share: Share,
        jobs: JobOverview,
        intake: Intake,
        history: History,
        systemd: Systemd,
        events: EventBus,
        clock: Clock,
        *,
        slots: Callable[[], int],
        workers: Callable[[str], int],
    ) -> None:
        self._events = events
        self._jobs = jobs
        self._intake = intake
        self._history = history
        self._systemd = systemd
        self._slots = slots
        self._workers = workers
        self._page = StatusPage(share, settings.status, clock)
        self._notes: list[str] = []
        self._host = host_name(settings.leases)
        self._on_cluster = settings.cluster.engine == "ray"

    def apply(self, settings: StatusSettings, notes: list[str]) -> None:
        """Use other settings from now on, and show what operators should know about them until the next call."""
        self._page.apply(settings)
        self._notes = notes

    def show(self, condition: Condition, *, phase: ServiceState | None = None, at_once: bool = False) -> None:
        """Publish the present state.

        Args:
            phase: STOPPING or STOPPED at the end of the service's life, else None.
            at_once: write the page even if it is not time for it.
        """
        condition = self._with_jobs(condition)
        status = self._status(condition, phase)
        self._systemd.status(status.line())
        self._events.publish(Tick(status, condition, self._page.hosts, self._slots()))
        if condition.block_reason is BlockReason.SHARE_AWAY or not (at_once or self._page.due):
            return
        self._list_files(status)
        try:
            self._page.show(status, at_once=at_once)
        except OSError as exc:
            log.debug("status page not written", reason=exc.strerror)
        except Exception:  # such as a file of another version; the work must go on without the page
            log.exception("the program failed on the status page")

    def _with_jobs(self, condition: Condition) -> Condition:
        """Return the condition, or lack of space if jobs met it although the share as a whole has enough."""
        if condition.block_reason not in (BlockReason.NONE, BlockReason.DRAINING):
            return condition
        found = list(self._jobs.lacking_space())
        if not found:
            return condition
        since, reason = min(found)
        return Condition(BlockReason.LOW_SPACE, reason, free_bytes=condition.free_bytes, since=since)

    def _status(self, condition: Condition, phase: ServiceState | None) -> ServiceStatus:
        nodes = list(self._jobs.nodes())
        running = [
            _running(
                held,
                progress,
                self._host,
                node=held.job.manifest.node if nodes else "",
                part_workers=self._workers(held.job.id),
            )
            for held, progress in self._jobs.running()
        ]
        return ServiceStatus(
            host=self._host,
            pid=os.getpid(),
            state=phase or _state(condition, running=len(running), held=len(self._jobs)),
            reason=condition.reason,
            since="" if phase else condition.since,
            reason_values=condition.values,
            inboxes=[InboxLine(inbox.settings.path, inbox.settings.profile) for inbox in self._intake.inboxes],
            queued=self._intake.ready,
            settling=self._intake.settling,
            level=max((job.level for job in running), key=severity, default="normal"),
            running=running,
            waiting=[*self._waiting_jobs(), *self._waiting_files()],
            finished=list(self._history.finished),
            failed=list(self._history.failed),
            nodes=nodes,
            notes=[*self._notes, *([_NO_NODE] if self._on_cluster and not self._slots() else [])],
        )

    def _waiting_jobs(self) -> Iterator[WaitingJob]:
        for held in self._jobs.waiting():
            reason = held.reason or "its turn comes"
            job = held.job
            yield WaitingJob(job.id, job.input_name, reason, self._host, held.code, held.remedy, held.since)

    def _waiting_files(self) -> Iterator[WaitingJob]:
        """Yield the files that cannot be claimed for lack of permissions, or because they are not complete."""
        for inbox in self._intake.inboxes:
            for file, wait in inbox.unfinished.items():
                why = wait.why
                yield WaitingJob("", _name(inbox, file), why.message, self._host, why.code, remedy_of(why), wait.since)
            for file, why in inbox.forbidden.items():
                yield WaitingJob("", _name(inbox, file), why.message, self._host, why.code, remedy_of(why))

    def _list_files(self, status: ServiceStatus) -> None:
        """Add the names of the first files in the inboxes."""
        status.queue = [
            QueuedFile(_name(inbox, found.relative), inbox.settings.profile, found.signature.size)
            for inbox, found in self._intake.upcoming(_FILES_LISTED)
        ]
        inboxes = self._intake.inboxes
        arriving = [_name(inbox, file) for inbox in inboxes for file in (*inbox.arriving, *inbox.empty)]
        status.settling, status.arriving = len(arriving), arriving[:_FILES_LISTED]
        status.ignored = [
            IgnoredFile(_name(inbox, file), reason.name) for inbox in inboxes for file, reason in inbox.ignored.items()
        ][:_FILES_LISTED]


def _name(inbox: Inbox, relative: str) -> str:
    return valid_text(PurePath(inbox.settings.path, relative))


def _state(condition: Condition, *, running: int, held: int) -> str:
    if condition.block_reason is BlockReason.DRAINING and not held:
        return ServiceState.DRAINED
    if condition.block_reason is not BlockReason.NONE:
        return condition.block_reason.value
    return ServiceState.WORKING if running else ServiceState.IDLE


def _running(held: HeldJob, progress: Progress | None, host: str, *, node: str, part_workers: int) -> RunningJob:
    job, progress = held.job, progress or Progress("start")
    percent = progress.percent
    return RunningJob(
        job=job.id,
        file=job.input_name,
        stage=progress.stage,
        percent=None if percent is None else round(percent, 1),
        fps=round(progress.fps, 1),
        eta_s=None if progress.left_s is None else round(progress.left_s),
        level=progress.level,
        attempt=job.manifest.attempts,
        host=host,
        level_reason=progress.level_reason,
        level_trip=progress.trip,
        realtime=None if progress.realtime is None else round(progress.realtime, 1),
        device="" if job.manifest.gpu is None else f"cuda:{job.manifest.gpu}",
        lacks=progress.lacks,
        since=held.since if progress.stage in RESTING else "",
        node=node,
        workers=max(1, part_workers),
    )
