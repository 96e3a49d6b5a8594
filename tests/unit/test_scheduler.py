"""The scheduler, without a worker: whose fault trouble is, and what then happens to the job."""

from __future__ import annotations

import os
import selectors
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon import leases
from daemon.audience import Audience
from daemon.errors import InvalidOutputError, ShareAwayError
from daemon.intake import Intake, inboxes
from daemon.jobs import State
from daemon.kept import KeptStates
from daemon.placement import Card
from daemon.scheduler import Scheduler
from daemon.settings import Settings
from daemon.share import Share
from daemon.tasks import Task
from daemon.workers import Pool
from tests.unit.daemon_share import claimed, drop, finished, make_share, settings_for, tree


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
            KeptStates(share, settings.retention, clock),
            Audience(),
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
    assert task.job.manifest.state is (State.DELIVERING if is_away else State.FAILING)
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
    assert task.job.manifest.state is State.FAILING
    assert f"The job's {name} is no regular file." in (task.job.manifest.error or {})["message"]
    scheduler._guard(task, scheduler._step)
    assert tree(share.failed) == {"x.mp4", "x.dualface.yaml", "x.report.json"}


@pytest.mark.parametrize(("cards", "jobs_per_card", "slots"), [(0, 1, 8), (1, 3, 3), (2, 3, 6), (3, "auto", 8)])
def test_cards_may_carry_fewer_jobs_than_there_are_slots(
    scheduler: Scheduler, cards: int, jobs_per_card: int | str, slots: int
) -> None:
    settings = {"workers": {"concurrent_jobs": 8}, "device": {"jobs_per_card": jobs_per_card}}
    scheduler._cards = [Card(number, 1) for number in range(cards)]
    scheduler.adopt(Settings.model_validate(settings), 0)
    assert scheduler.slots == slots
