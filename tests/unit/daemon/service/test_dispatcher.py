"""The scheduler, without a worker: whose fault trouble is, and what then happens to the job."""

from __future__ import annotations

import os
import re
import selectors
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from daemon.config.settings import Settings
from daemon.errors import InvalidOutputError, ShareAwayError
from daemon.inbox.inbox import Intake, inboxes
from daemon.jobs import held_jobs as tasks
from daemon.jobs.gpu_placement import GPU
from daemon.jobs.held_jobs import Task
from daemon.jobs.manifest import JobState
from daemon.jobs.segment_cache import SegmentCache
from daemon.observability.events import Event, EventBus, JobFailed
from daemon.service.dispatcher import Scheduler
from daemon.share import leases
from daemon.share.share import Share
from daemon.worker.pool import Pool
from daemon.worker.protocol import Failed
from tests.support.share import claimed, drop, finished, make_share, settings_for, tree


@pytest.fixture
def share(tmp_path: Path) -> Share:
    (tmp_path / "share").mkdir()
    return make_share(tmp_path / "share")


@pytest.fixture
def scheduler(share: Share) -> Iterator[Scheduler]:
    settings, clock = settings_for(share.root), time.monotonic
    with selectors.DefaultSelector() as selector:
        yield Scheduler(
            settings,
            share,
            Intake(inboxes(settings, 0, clock)),
            Pool(selector, stall_timeout_s=60, clock=clock),
            SegmentCache(share, settings.retention, clock),
            EventBus(),
            settle_s=0,
            clock=clock,
        )


@pytest.mark.parametrize("is_away", [True, False])
def test_trouble_without_the_share_is_not_the_job_s(share: Share, scheduler: Scheduler, is_away: bool) -> None:
    task = scheduler._tasks.hold(finished(share, "x.mp4"))

    def deliver(task: Task) -> None:
        if is_away:
            share.root.rename(share.root.with_name("elsewhere"))
        raise InvalidOutputError("There is nothing.")

    scheduler._guard(task, deliver)
    assert task.job.manifest.state is (JobState.DELIVERING if is_away else JobState.FAILING)
    assert task.code == (ShareAwayError.code if is_away else "")
    assert task.due


@pytest.mark.parametrize("name", ["source", "sidecar.yaml"])
def test_a_pipe_that_takes_an_input_s_place_is_given_up(share: Share, scheduler: Scheduler, name: str) -> None:
    """Whoever opened it would wait for ever."""
    drop(share, "x.dualface.yaml", b"swap: true")
    task = scheduler._tasks.hold(claimed(share, "x.mp4"))
    (task.job.folder / name).unlink()
    os.mkfifo(task.job.folder / name)
    leases.write(task.job.folder, scheduler._tasks.lease)
    scheduler._guard(task, scheduler._step)
    assert task.job.manifest.state is JobState.FAILING
    assert f"The job's {name} is no regular file." in (task.job.manifest.error or {})["message"]
    scheduler._guard(task, scheduler._step)
    assert tree(share.failed) == {"x.mp4", "x.dualface.yaml", "x.report.json"}


@pytest.mark.parametrize(("code", "longest_s"), [("DISK_FULL", 30), ("STORAGE", 30), ("SHARE_SPLIT", 30), ("X", 300)])
def test_trouble_of_the_storage_is_never_waited_for_long(
    share: Share, scheduler: Scheduler, code: str, longest_s: float
) -> None:
    task = scheduler._tasks.hold(claimed(share, "x.mp4"))
    for _ in range(20):
        task.wait(Failed(code, "trouble", "do something", environmental=True))
    assert longest_s / 2 <= task.backoff.wait_s + 1 <= longest_s + 1


def test_a_wait_has_one_beginning_however_often_it_is_tried_in_between(
    share: Share, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter("abcdef")
    monkeypatch.setattr(tasks, "now", lambda: next(times))
    task = scheduler._tasks.hold(claimed(share, "x.mp4"))
    full = Failed("DISK_FULL", "33 MiB free", "free some", environmental=True)
    task.heed("space")
    task.heed("space")
    task.wait(full)
    task.begin()
    task.heed("probe")
    task.heed("space")
    task.wait(full)
    assert task.since == "a"
    task.wait(Failed("STORAGE", "it does not answer", "look", environmental=True))
    assert task.since == "b"
    task.begin()
    task.heed("render")
    assert task.since == ""


def test_a_job_whose_directory_was_removed_is_told_as_that_and_one_that_another_took_as_that(
    share: Share, scheduler: Scheduler
) -> None:
    heard: list[Event] = []
    scheduler._events = EventBus(heard.append)
    removed, taken = (scheduler._tasks.hold(claimed(share, name)) for name in ("x.mp4", "y.mp4"))
    shutil.rmtree(removed.job.folder)
    leases.take_over(taken.job.folder)
    with capture_logs() as lines:
        for task in (removed, taken):
            scheduler._lose(task)
    (event,) = heard
    assert isinstance(event, JobFailed)
    assert (event.job, event.failure.code, event.report) == (removed.job, "JOB_REMOVED", "")
    assert [line["event"] for line in lines] == ["job directory has gone", "job lost to another host"]
    assert scheduler.held == 0


def test_a_job_that_waits_for_space_names_the_figure_and_kept_state_goes(share: Share, scheduler: Scheduler) -> None:
    for name in ("old", "older"):
        (share.finished / name).mkdir()
    task = scheduler._tasks.hold(claimed(share, "x.mp4"))
    leases.write(task.job.folder, scheduler._tasks.lease)
    scheduler._wait(task, Failed("DISK_FULL", "writing job.json failed: Disk quota exceeded", "", environmental=True))
    assert re.fullmatch(r"writing job\.json failed: Disk quota exceeded \(\d+ MiB free\)", task.reason)
    assert [reason for _, reason in scheduler.lacking_space()] == [task.reason]
    for _ in range(2):
        scheduler._room_at = 0
        scheduler._make_room()
    assert list(share.finished.iterdir()) == []


@pytest.mark.parametrize(("gpus", "jobs_per_card", "slots"), [(0, 1, 8), (1, 3, 3), (2, 3, 6), (3, "auto", 8)])
def test_gpus_may_carry_fewer_jobs_than_there_are_slots(
    scheduler: Scheduler, gpus: int, jobs_per_card: int | str, slots: int
) -> None:
    settings = {"workers": {"concurrent_jobs": 8}, "device": {"jobs_per_card": jobs_per_card}}
    scheduler._gpus = [GPU(number, 1) for number in range(gpus)]
    scheduler.adopt(Settings.model_validate(settings), 0)
    assert scheduler.slots == slots
