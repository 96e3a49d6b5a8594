"""How long jobs wait for a place on which they can go on."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.executor.protocol import Place
from daemon.jobs.class_waits import ClassWaits
from daemon.jobs.held_jobs import HeldJob
from tests.support.jobs import Jobs
from tests.support.share import make_share

OLD, NEW = Place("a", compute_class="cpu-old"), Place("b", compute_class="cpu-new")
ANY = Place("here")


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    return Jobs(make_share(tmp_path), sections={"cluster": {"class_wait_s": 100}})


@pytest.fixture
def waits(jobs: Jobs) -> ClassWaits:
    return ClassWaits(jobs.settings, jobs.clock)


@pytest.fixture
def begun(jobs: Jobs) -> HeldJob:
    """A job with a checkpoint of the class cpu-old."""
    held = jobs.queued("x.mp4")
    held.job.manifest.compute_class = "cpu-old"
    (held.job.folder / "checkpoint.json").write_text("{}")
    return held


def test_a_job_that_has_begun_goes_on_in_its_class(waits: ClassWaits, begun: HeldJob) -> None:
    assert waits.fitting(begun, [NEW, OLD], [NEW, OLD]) == [OLD]
    assert waits.fitting(begun, [ANY], [ANY]) == [ANY], "on one machine the class is left to the pipeline"


def test_while_a_node_of_its_class_is_busy_a_job_waits_without_a_limit(
    jobs: Jobs, waits: ClassWaits, begun: HeldJob
) -> None:
    for _ in range(3):
        assert waits.fitting(begun, [NEW], [NEW, OLD]) == []
        jobs.clock.now += 1000
    assert begun.code == ""


def test_without_a_node_of_its_class_a_job_says_what_it_waits_for_and_then_starts_anew(
    jobs: Jobs, waits: ClassWaits, begun: HeldJob
) -> None:
    assert waits.fitting(begun, [NEW], [NEW]) == []
    assert (begun.code, "cpu-old" in begun.reason, bool(begun.since)) == ("NO_NODE_OF_CLASS", True, True)
    jobs.clock.now += 99
    assert waits.fitting(begun, [NEW], [NEW]) == []
    jobs.clock.now += 1
    assert waits.fitting(begun, [NEW], [NEW]) == [NEW]


def test_the_wait_ends_when_such_a_node_comes_back(jobs: Jobs, waits: ClassWaits, begun: HeldJob) -> None:
    waits.fitting(begun, [NEW], [NEW])
    jobs.clock.now += 90
    assert waits.fitting(begun, [OLD], [NEW, OLD]) == [OLD]
    assert (begun.code, begun.reason, begun.since) == ("", "", "")
    jobs.clock.now += 90
    assert waits.fitting(begun, [NEW], [NEW]) == [], "the time begins again"


def test_a_job_with_nothing_to_go_on_with_takes_any_place(jobs: Jobs, waits: ClassWaits) -> None:
    held = jobs.queued("x.mp4")
    held.job.manifest.compute_class = "cpu-old"
    assert waits.fitting(held, [NEW], [NEW]) == [NEW]
