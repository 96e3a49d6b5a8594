"""From the service's parts to what people see: the status page, the history, and the line for systemd."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import PurePath

import structlog

from daemon.clock import Clock
from daemon.config.settings import Settings
from daemon.inbox.inbox import Inbox, Intake
from daemon.jobs.held_jobs import Task
from daemon.jobs.job import Job
from daemon.jobs.start_conditions import BlockReason, Condition
from daemon.observability.events import Delivered, Event, EventBus, JobFailed, Tick
from daemon.service.dispatcher import Scheduler
from daemon.service.systemd import Notifier
from daemon.share.leases import host_name
from daemon.share.naming import valid_text
from daemon.share.share import Share
from daemon.status.model import (
    FailedJob,
    FinishedJob,
    History,
    IgnoredFile,
    InboxLine,
    QueuedFile,
    RunningJob,
    ServiceStatus,
    WaitingJob,
    link_to,
    now,
    severity,
)
from daemon.status.publisher import StatusPage
from daemon.worker.protocol import Failed
from pipeline.job import RESTING, Progress

_NAMED = 30  # files of each kind that the page tells by name

log = structlog.get_logger(__name__)


class HistoryRecorder:
    """Keeps the history of ended jobs: a listener of the service."""

    def __init__(self, history: History, host: str) -> None:
        self._history = history
        self._host = host

    def __call__(self, event: Event) -> None:
        if isinstance(event, Delivered):
            self._delivered(event.job, event.video)
        elif isinstance(event, JobFailed):
            self._failed(event.job, event.failure, event.report)

    def _delivered(self, job: Job, video: str) -> None:
        result = job.manifest.result or {}
        self._history.finished.appendleft(
            FinishedJob(
                job=job.id,
                file=job.input_name,
                output=valid_text(video),
                link=link_to(video),
                status=result.get("status", ""),
                verdict=result.get("verdict", ""),
                at=now(),
                host=self._host,
                links={move.kind: link_to(move.target) for move in job.manifest.publish if move.kind != "video"},
                facts=result.get("facts", {}),
            )
        )

    def _failed(self, job: Job, failure: Failed, report: str) -> None:
        self._history.failed.appendleft(
            FailedJob(
                job=job.id,
                file=job.input_name,
                code=failure.code,
                message=failure.message,
                remedy=failure.remedy,
                at=now(),
                host=self._host,
                report=valid_text(report),
                link=link_to(report) if report else "",
            )
        )


class StatusPublisher:
    """Shows the service's state on the page and to systemd.

    Attributes:
        notes: what operators should know besides; shown until it is taken back.
    """

    def __init__(
        self,
        settings: Settings,
        share: Share,
        scheduler: Scheduler,
        intake: Intake,
        history: History,
        notifier: Notifier,
        events: EventBus,
        clock: Clock,
    ) -> None:
        self._events = events
        self._scheduler = scheduler
        self._intake = intake
        self._history = history
        self._notifier = notifier
        self.page = StatusPage(share, settings.status, clock)
        self.notes: list[str] = []
        self._host = host_name(settings.leases)

    def show(self, condition: Condition, *, phase: str = "", at_once: bool = False) -> None:
        """Publish the present state. ``phase`` is "stopping" or "stopped" at the end of the service's life."""
        condition = self._with_jobs(condition)
        board = self._board(condition, phase)
        self._notifier.status(board.line())
        self._events.tell(Tick(board, condition, self.page.hosts, self._scheduler.slots))
        if condition.block_reason is BlockReason.SHARE_AWAY or not (at_once or self.page.due):
            return
        self._name_files(board)
        try:
            self.page.show(board, at_once=at_once)
        except OSError as exc:
            log.debug("status page not written", reason=exc.strerror)
        except Exception:  # another version on the share, perhaps; a page that cannot be made must not stop the work
            log.exception("the program failed on the status page")

    def _with_jobs(self, condition: Condition) -> Condition:
        """The condition, or the want of space that jobs have met where the share as a whole shows none."""
        if condition.block_reason not in (BlockReason.NONE, BlockReason.DRAINING):
            return condition
        found = list(self._scheduler.lacking_space())
        if not found:
            return condition
        since, reason = min(found)
        return Condition(BlockReason.LOW_SPACE, reason, free_bytes=condition.free_bytes, since=since)

    def _board(self, condition: Condition, phase: str) -> ServiceStatus:
        running = [_running(task, progress, self._host) for task, progress in self._scheduler.at_work()]
        return ServiceStatus(
            host=self._host,
            pid=os.getpid(),
            state=phase or _state(condition, running=len(running), held=self._scheduler.held),
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
            notes=list(self.notes),
        )

    def _waiting_jobs(self) -> Iterator[WaitingJob]:
        for task in self._scheduler.waiting():
            reason = task.reason or "its turn comes"
            job = task.job
            yield WaitingJob(job.id, job.input_name, reason, self._host, task.code, task.remedy, task.since)

    def _waiting_files(self) -> Iterator[WaitingJob]:
        """Files that cannot be claimed until somebody gives the right to, or until they are whole."""
        for inbox in self._intake.inboxes:
            for file, wait in inbox.unfinished.items():
                why = wait.why
                yield WaitingJob("", _name(inbox, file), why.message, self._host, why.code, why.remedy, wait.since)
            for file, why in inbox.forbidden.items():
                yield WaitingJob("", _name(inbox, file), why.message, self._host, why.code, why.remedy)

    def _name_files(self, board: ServiceStatus) -> None:
        """Tell the first files of the inboxes by name."""
        board.queue = [
            QueuedFile(_name(inbox, found.relative), inbox.settings.profile, found.signature.size)
            for inbox, found in self._intake.upcoming(_NAMED)
        ]
        inboxes = self._intake.inboxes
        arriving = [_name(inbox, file) for inbox in inboxes for file in (*inbox.arriving, *inbox.empty)]
        board.settling, board.arriving = len(arriving), arriving[:_NAMED]
        board.ignored = [
            IgnoredFile(_name(inbox, file), reason.name) for inbox in inboxes for file, reason in inbox.ignored.items()
        ][:_NAMED]


def _name(inbox: Inbox, relative: str) -> str:
    return valid_text(PurePath(inbox.settings.path, relative))


def _state(condition: Condition, *, running: int, held: int) -> str:
    if condition.block_reason is BlockReason.DRAINING and not held:
        return "drained"
    if condition.block_reason is not BlockReason.NONE:
        return condition.block_reason.value
    return "working" if running else "idle"


def _running(task: Task, progress: Progress | None, host: str) -> RunningJob:
    job, progress = task.job, progress or Progress("start")
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
        since=task.since if progress.stage in RESTING else "",
    )
