"""One line a minute when busy, none when idle."""

from __future__ import annotations

from typing import Any

from structlog.testing import capture_logs

from daemon.jobs.start_conditions import Condition
from daemon.observability.activity_log import ActivityLog
from daemon.observability.events import Delivered, Tick
from daemon.status.model import RunningJob, ServiceStatus

RUNNING = RunningJob("j", "inbox/a.mp4", "render", 41.5, 60.0, 75, "normal", 1)


def play(summary: ActivityLog, clock: list[float], seconds: int, *running: RunningJob) -> list[Any]:
    """A stretch of the service's life, a turn a second; returns what was logged."""
    with capture_logs() as lines:
        for _ in range(seconds):
            clock[0] += 1
            summary(Tick(ServiceStatus("h", 1, running=list(running), queued=3), Condition(), []))
    return lines


def test_a_line_a_minute_when_busy_and_none_when_idle() -> None:
    clock = [0.0]
    summary = ActivityLog(lambda: clock[0])
    assert play(summary, clock, 600) == []
    lines = play(summary, clock, 185, RUNNING)
    assert len(lines) == 3
    assert (lines[0]["running"], lines[0]["queue"], lines[0]["fps"]) == (1, 3, 60.0)
    assert lines[0]["jobs"] == ["inbox/a.mp4 render 42 % 1:15 left"]
    assert play(summary, clock, 600) == []
    assert len(play(summary, clock, 62, RUNNING)) == 1, "a new minute begins with new work"


def test_short_jobs_are_summed_up_too(tmp_path: object) -> None:
    clock = [0.0]
    summary = ActivityLog(lambda: clock[0])
    for _ in range(5):
        summary(Delivered(None, "outbox/a.mp4"))  # type: ignore[arg-type]
    lines = play(summary, clock, 300)
    assert [line["delivered"] for line in lines] == [5]
