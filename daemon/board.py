"""From the service's parts to what people see: the status page, the history, and the line for systemd."""

from __future__ import annotations

import os

import structlog

from daemon.conditions import Condition, Hindrance
from daemon.intake import Intake
from daemon.jobs import Job
from daemon.leases import host_name
from daemon.messages import Failed
from daemon.naming import valid_text
from daemon.notify import Notifier
from daemon.page import StatusPage
from daemon.scheduler import Scheduler
from daemon.settings import Settings
from daemon.settle import Clock
from daemon.share import Share
from daemon.status import (
    Board,
    FailedJob,
    FinishedJob,
    History,
    RunningJob,
    WaitingJob,
    link_to,
    now,
    severity,
)
from pipeline.job import Progress

log = structlog.get_logger(__name__)


class Chronicle:
    """Keeps the history of ended jobs (the scheduler's ``Audience``)."""

    def __init__(self, history: History, host: str) -> None:
        self._history = history
        self._host = host

    def delivered(self, job: Job, video: str) -> None:
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
            )
        )

    def failed(self, job: Job, failure: Failed) -> None:
        self._history.failed.appendleft(
            FailedJob(
                job=job.id,
                file=job.input_name,
                code=failure.code,
                message=failure.message,
                remedy=failure.remedy,
                at=now(),
                host=self._host,
            )
        )


class Bulletin:
    """Shows the service's state on the page and to systemd."""

    def __init__(
        self,
        settings: Settings,
        share: Share,
        scheduler: Scheduler,
        intake: Intake,
        history: History,
        notifier: Notifier,
        clock: Clock,
    ) -> None:
        self._scheduler = scheduler
        self._intake = intake
        self._history = history
        self._notifier = notifier
        self._page = StatusPage(share, settings.status, clock)
        self._host = host_name(settings.leases)

    def show(self, condition: Condition, *, phase: str = "", at_once: bool = False) -> None:
        """Publish the present state. ``phase`` is "stopping" or "stopped" at the end of the service's life."""
        board = self._board(condition, phase)
        self._notifier.status(board.line())
        if condition.hindrance is Hindrance.SHARE_AWAY:
            return
        try:
            self._page.show(board, at_once=at_once)
        except OSError as exc:
            log.debug("status page not written", reason=exc.strerror)

    def _board(self, condition: Condition, phase: str) -> Board:
        running = [_running(job, progress, self._host) for job, progress in self._scheduler.running()]
        return Board(
            host=self._host,
            pid=os.getpid(),
            state=phase or _state(condition, busy=bool(running)),
            reason=condition.reason,
            queued=self._intake.ready,
            settling=self._intake.settling,
            level=max((job.level for job in running), key=severity, default="normal"),
            running=running,
            waiting=[
                WaitingJob(task.job.id, task.job.input_name, task.reason or "its turn comes", self._host)
                for task in self._scheduler.waiting()
            ],
            finished=list(self._history.finished),
            failed=list(self._history.failed),
        )


def _state(condition: Condition, *, busy: bool) -> str:
    if condition.hindrance is not Hindrance.NONE:
        return condition.hindrance.value
    return "working" if busy else "idle"


def _running(job: Job, progress: Progress | None, host: str) -> RunningJob:
    progress = progress or Progress("start")
    percent = progress.percent
    return RunningJob(
        job=job.id,
        file=job.input_name,
        stage=progress.stage,
        percent=None if percent is None else round(percent, 1),
        fps=round(progress.fps, 1),
        eta_s=_eta_s(progress),
        level=progress.level,
        attempt=job.manifest.attempts,
        host=host,
        level_reason=progress.level_reason,
    )


def _eta_s(progress: Progress) -> int | None:
    """Time left, from the recent pace; None while that cannot be known."""
    if not progress.frames_total or progress.fps <= 0 or progress.stage != "render":
        return None
    return round(max(0, progress.frames_total - progress.frames_done) / progress.fps)
