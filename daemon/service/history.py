"""The history of delivered and failed jobs, for the status page."""

from __future__ import annotations

from daemon.clock import utc_now
from daemon.jobs.job import Job
from daemon.observability.events import Delivered, Event, JobFailed
from daemon.share.naming import valid_text
from daemon.status.model import FailedJob, FinishedJob, History, link_to
from daemon.worker.protocol import Failed


class HistoryRecorder:
    """A listener that adds delivered and failed jobs to the history."""

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
                at=utc_now(),
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
                at=utc_now(),
                host=self._host,
                report=valid_text(report),
                link=link_to(report) if report else "",
            )
        )
