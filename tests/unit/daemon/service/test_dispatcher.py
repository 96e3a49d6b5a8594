"""Which job starts next, and where; nothing is started here."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
import structlog

from daemon.config.settings import Settings
from daemon.executor.protocol import Place
from daemon.jobs.class_waits import ClassWaits
from daemon.jobs.held_jobs import HeldJob
from daemon.service.dispatcher import Dispatcher
from daemon.service.job_overview import COMPARISON
from daemon.worker.protocol import GPU, CompareFiles, Failed
from pipeline.job import Progress
from tests.support.jobs import Jobs
from tests.support.share import make_share

FULL = Failed("DISK_FULL", "33 MiB free", "free some", environmental=True)
DIED = Failed("WORKER_DIED", "it died", "look", retryable=True)
HOST = socket.gethostname()
ON_CPU = Place(HOST)
TWO_GPUS = [GPU(0, 1), GPU(1, 2)]


class Starts:
    """A dispatcher whose starts and claims are recorded; a started job counts as running."""

    def __init__(self, jobs: Jobs, gpus: list[GPU], slots: int, files: int = 0) -> None:
        self.jobs = jobs
        self.names: list[str] = []
        self.gpus: list[int | None] = []
        self.files = files
        jobs.executor.apply(Settings.model_validate({"workers": {"concurrent_jobs": slots}}))
        jobs.executor.use_gpus(gpus)
        self.dispatcher = Dispatcher(
            jobs.overview, jobs.executor, ClassWaits(jobs.settings, jobs.clock), start=self.start, claim=self.claim,
            ready=lambda: self.files,
        )  # fmt: skip

    def start(self, held: HeldJob, place: Place) -> None:
        self.names.append(held.job.source_name)
        self.gpus.append(place.key[1])
        self.run(held, place)

    def run(self, held: HeldJob, place: Place, progress: Progress | None = None) -> None:
        start_worker(self.jobs, held.job.id, place)
        if progress:
            self.jobs.executor.states[held.job.id] = progress

    def claim(self) -> bool:
        self.files -= 1
        if self.files < 0:
            return False
        self.jobs.queued(f"claimed{self.files}.mp4")
        return True

    def started(self, *, may_start: bool = True, **may: bool) -> list[str]:
        """Return the names of the jobs that one call starts."""
        self.names.clear()
        self.dispatcher.start_jobs(may_start=may_start, **may)
        return list(self.names)


def start_worker(jobs: Jobs, name: str, place: Place | None = None) -> None:
    order = CompareFiles(Path(), Path(), True, jobs.settings.workers.limits)
    jobs.executor.start(name, order, structlog.get_logger(), place=place)


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    return Jobs(make_share(tmp_path))


def starts(jobs: Jobs, gpus: list[GPU] | None = None, slots: int = 2, **more: Any) -> Starts:
    return Starts(jobs, gpus or [], slots, **more)


def test_priority_goes_first_then_the_earliest_claim(jobs: Jobs) -> None:
    jobs.queued("late.mp4", claimed_at_s=2)
    jobs.queued("early.mp4", claimed_at_s=1)
    jobs.queued("urgent.mp4", priority=5, claimed_at_s=3)
    assert starts(jobs, slots=2).started() == ["urgent.mp4", "early.mp4"]


def test_files_are_claimed_only_for_free_slots_and_once_claimed_jobs_have_started(jobs: Jobs) -> None:
    jobs.queued("held.mp4")
    taker = starts(jobs, slots=2, files=9)
    assert taker.started(may_claim=False) == ["held.mp4"]
    assert taker.started() == ["claimed8.mp4"]
    assert taker.started() == []


def test_claimed_jobs_that_wait_leave_further_files_in_the_inboxes(jobs: Jobs) -> None:
    for number in range(17):
        jobs.queued(f"{number}.mp4").wait(DIED)
    taker = starts(jobs, slots=1, files=9)
    assert taker.started() == []
    assert taker.files == 9


def test_without_leave_to_start_only_jobs_that_lack_space_resume(jobs: Jobs) -> None:
    jobs.queued("new.mp4")
    interrupted = jobs.queued("interrupted.mp4")
    interrupted.wait(FULL)
    jobs.clock.now += 100
    taker = starts(jobs)
    assert taker.started(may_start=False) == []
    assert taker.started(may_start=False, may_claim=False, may_resume=True) == ["interrupted.mp4"]


def test_a_job_that_waits_is_left_until_its_time(jobs: Jobs) -> None:
    jobs.queued("x.mp4").wait(DIED)
    taker = starts(jobs)
    assert taker.started() == []
    jobs.clock.now += 1000
    assert taker.started() == ["x.mp4"]


def test_a_job_that_failed_twice_runs_alone(jobs: Jobs) -> None:
    suspect = jobs.queued("suspect.mp4", priority=1)
    suspect.job.manifest.consecutive_failures = 2
    other = jobs.queued("other.mp4")
    taker = starts(jobs)
    assert taker.started() == ["suspect.mp4"]
    jobs.executor.end(suspect.job.id)
    taker.run(other, ON_CPU)
    assert taker.started() == [], "it waits until nothing else runs"


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        (Progress("render"), ["next.mp4"]),
        (Progress("space", lacks="33 MiB free"), []),
        (Progress("render", level="downscale", trip="out_of_memory"), ["next.mp4"]),  # on the other GPU
    ],
)
def test_a_degraded_job_keeps_others_from_its_gpu(jobs: Jobs, progress: Progress, expected: list[str]) -> None:
    degraded = jobs.queued("degraded.mp4")
    taker = starts(jobs, TWO_GPUS, slots=4)
    taker.run(degraded, Place(HOST, TWO_GPUS[1]), progress)
    jobs.queued("next.mp4")
    assert taker.started() == expected
    assert taker.gpus == [0] * len(expected)


def test_without_gpus_a_degraded_job_does_not_count_as_the_whole_host(jobs: Jobs) -> None:
    degraded = jobs.queued("degraded.mp4")
    taker = starts(jobs, slots=4)
    taker.run(degraded, ON_CPU, Progress("render", level="downscale", trip="out_of_memory"))
    jobs.queued("next.mp4")
    assert taker.started() == []


def test_after_trouble_on_one_gpu_a_job_gets_another(jobs: Jobs) -> None:
    held = jobs.queued("x.mp4")
    held.job.manifest.node, held.job.manifest.gpu = HOST, 1  # the one with more memory
    held.wait(DIED)
    jobs.clock.now += 1000
    taker = starts(jobs, TWO_GPUS)
    assert taker.started() == ["x.mp4"]
    assert taker.gpus == [0]


def test_a_comparison_takes_no_slot_but_a_lost_job_s_worker_does(jobs: Jobs) -> None:
    jobs.queued("x.mp4")
    taker = starts(jobs, slots=1)
    start_worker(jobs, COMPARISON)
    start_worker(jobs, "lost", ON_CPU)
    assert taker.started() == []
    jobs.executor.end("lost")
    assert taker.started() == ["x.mp4"]


@pytest.mark.parametrize(("files", "may_claim", "lacks"), [(1, True, True), (1, False, False), (0, True, False)])
def test_a_file_lacks_a_place_only_if_all_are_taken(jobs: Jobs, files: int, may_claim: bool, lacks: bool) -> None:
    starts = Starts(jobs, [], slots=1, files=files)
    assert not starts.dispatcher.lacks_place(may_claim=may_claim)
    start_worker(jobs, "other", jobs.executor.places[0])
    assert starts.dispatcher.lacks_place(may_claim=may_claim) == lacks


def test_a_queued_job_lacks_a_place_until_it_runs(jobs: Jobs) -> None:
    starts = Starts(jobs, [], slots=1)
    jobs.queued("a.mp4")
    jobs.queued("b.mp4")
    assert starts.started() == ["a.mp4"]
    assert starts.dispatcher.lacks_place(may_claim=True)
