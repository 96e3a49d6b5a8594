"""The comparison of files that may be parts of one recording, without a process."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.errors import ShareAwayError
from daemon.executor.protocol import Died, Outcome
from daemon.inbox.inbox import inboxes
from daemon.inbox.intake import Intake
from daemon.service.job_overview import COMPARISON
from daemon.service.part_comparison import PartComparison
from daemon.worker.protocol import CompareFiles, Failed, FilesCompared
from tests.fakes.executor import ExecutorWithoutProcesses
from tests.support.jobs import ManualClock
from tests.support.share import drop, make_share, settings_for

PARTS = ("GX010042.MP4", "GX020042.MP4")


class Comparisons:
    """An inbox with two files whose names are those of one recording."""

    def __init__(self, root: Path) -> None:
        share = make_share(root)
        settings = settings_for(root, settle={"unfinished_s": 0})
        self.clock = ManualClock()
        self.executor = ExecutorWithoutProcesses()
        self.intake = Intake(inboxes(settings, 0, self.clock))
        self.comparison = PartComparison(settings, share, self.intake, self.executor, self.clock)
        for name in PARTS:
            drop(share, name)
        for _ in range(5):
            self.clock.now += 60
            self.intake.advance(60)

    def end(self, outcome: Outcome) -> None:
        self.executor.end(COMPARISON)
        self.comparison.finish(outcome)

    @property
    def is_decided(self) -> bool:
        return self.intake.inboxes[0].open_joint() is None


@pytest.fixture
def comparisons(tmp_path: Path) -> Comparisons:
    return Comparisons(tmp_path)


def test_one_pair_is_compared_at_a_time(comparisons: Comparisons) -> None:
    comparisons.comparison.start_next()
    order = comparisons.executor.orders[COMPARISON]
    assert isinstance(order, CompareFiles)
    assert (order.first.name, order.second.name) == PARTS
    comparisons.executor.end(COMPARISON)
    comparisons.comparison.start_next()
    assert COMPARISON not in comparisons.executor


@pytest.mark.parametrize("outcome", [FilesCompared(follows=True), FilesCompared(follows=False), Died("SIGKILL", -9)])
def test_every_end_decides_a_pair(comparisons: Comparisons, outcome: Outcome) -> None:
    """Files at which every comparison dies are recordings of their own, so that they do not wait for ever."""
    comparisons.comparison.start_next()
    comparisons.end(outcome)
    assert comparisons.is_decided


def test_trouble_of_the_environment_decides_nothing(comparisons: Comparisons) -> None:
    comparisons.comparison.start_next()
    comparisons.end(Failed.of(ShareAwayError("It has gone.")))
    assert not comparisons.is_decided
    comparisons.comparison.start_next()
    assert COMPARISON not in comparisons.executor, "it waits"
    comparisons.clock.now += 1000
    comparisons.comparison.start_next()
    assert COMPARISON in comparisons.executor


def test_a_stop_decides_nothing(comparisons: Comparisons) -> None:
    comparisons.comparison.start_next()
    comparisons.comparison.stop()
    comparisons.end(Died("SIGTERM", -15))
    assert not comparisons.is_decided


def test_without_a_process_it_is_tried_again(comparisons: Comparisons) -> None:
    comparisons.executor.refuses = True
    comparisons.comparison.start_next()
    comparisons.executor.refuses = False
    comparisons.clock.now += 1000
    comparisons.comparison.start_next()
    assert COMPARISON in comparisons.executor
