"""The history of finished and failed jobs."""

from __future__ import annotations

from daemon.observability.events import (
    Delivered,
    JobFailed,
)
from daemon.service.history import HistoryRecorder
from daemon.status.model import History
from tests.support.metrics import DISK_FULL, job


def test_the_history_records_ends() -> None:
    history = History(5)
    collector = HistoryRecorder(history, "here")
    collector(Delivered(job({"status": "succeeded", "verdict": "fine"}), "outbox/a.dual.mp4"))
    collector(JobFailed(job(), DISK_FULL, "failed/a.report.json"))
    assert [row.verdict for row in history.finished] == ["fine"]
    assert [row.code for row in history.failed] == ["DISK_FULL"]
