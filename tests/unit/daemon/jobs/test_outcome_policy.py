"""When a job is tried again, runs alone, or is given up."""

from __future__ import annotations

import pytest

from daemon.jobs.manifest import JobState, Manifest
from daemon.jobs.outcome_policy import Next, after_crash, after_worker, runs_alone, strained
from daemon.worker.pool import Died, Stalled
from daemon.worker.protocol import Failed, Finished, Stopped
from pipeline.job import Progress

KILLED = Died("SIGKILL", -9)
FULL = Failed("DISK_FULL", "full", "free space", retryable=True, environmental=True)
BROKEN = Failed("NOT_MEDIA", "no video", "export again")


def manifest() -> Manifest:
    return Manifest(job="j", inbox="inbox", relative="x.mp4", profile="default", state=JobState.WORKING, attempts=1)


def test_success_leads_to_delivery() -> None:
    job = manifest()
    after_worker(job, Finished("succeeded", "fine", {}, 1, 1.0, 1.0), progressed=True, max_attempts=3)
    assert job.state is JobState.DELIVERING
    assert job.result is not None


def test_three_deaths_without_progress_are_the_end() -> None:
    job = manifest()
    states = []
    for _ in range(3):
        after_worker(job, KILLED, progressed=False, max_attempts=3)
        states.append((job.state, runs_alone(job)))
    assert states == [(JobState.QUEUED, False), (JobState.QUEUED, True), (JobState.FAILING, True)]
    assert job.error is not None
    assert job.error["code"] == "WORKER_DIED"
    assert "SIGKILL" in job.error["message"]


def test_a_death_for_lack_of_memory_is_explained_as_such() -> None:
    job = manifest()
    words = "terminate called after throwing an instance of 'std::bad_alloc' what():  std::bad_alloc"
    for _ in range(3):
        after_worker(job, Died("SIGABRT", -6, words), progressed=False, max_attempts=3)
    assert job.error is not None
    assert job.error["code"] == "OUT_OF_MEMORY"
    assert "std::bad_alloc" in job.error["message"]


def test_a_hang_counts_like_a_death() -> None:
    job = manifest()
    for _ in range(3):
        after_worker(job, Stalled(300), progressed=False, max_attempts=3)
    assert job.error is not None
    assert job.error["code"] == "WORKER_STALLED"


def test_progress_starts_the_row_anew() -> None:
    job = manifest()
    for _ in range(20):
        after_worker(job, KILLED, progressed=True, max_attempts=3)
    assert job.state is JobState.QUEUED


def test_the_file_s_own_fault_is_final_at_once() -> None:
    job = manifest()
    after_worker(job, BROKEN, progressed=False, max_attempts=3)
    assert job.state is JobState.FAILING
    assert job.error is not None
    assert job.error["code"] == "NOT_MEDIA"


def test_trouble_of_the_environment_costs_no_attempt() -> None:
    job = manifest()
    for _ in range(50):
        job.attempts += 1
        assert after_worker(job, FULL, progressed=False, max_attempts=3) is Next.WAIT
    assert (job.state, job.attempts, job.consecutive_failures) == (JobState.QUEUED, 1, 0)


def test_an_orderly_stop_costs_no_attempt() -> None:
    job = manifest()
    assert after_worker(job, Stopped(), progressed=False, max_attempts=3) is Next.GO_ON
    assert (job.state, job.attempts) == (JobState.QUEUED, 0)


def test_a_file_that_takes_the_whole_service_down_is_given_up_late() -> None:
    job = manifest()
    for count in range(1, 16):
        assert job.state is not JobState.FAILING
        after_crash(job, progressed=False, max_attempts=3)
        assert runs_alone(job) == (count >= 2)
    assert job.state is JobState.FAILING


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        (None, set()),
        (Progress("render"), set()),
        (Progress("render", level="downscale", trip="out_of_memory"), {1}),
        (Progress("space", lacks="33 MiB free"), {None}),
        (Progress("render", level="frame_skip", trip="decoder_errors"), set()),  # the file's own trouble
    ],
)
def test_a_job_below_normal_keeps_others_from_its_device(progress: Progress | None, expected: set[int | None]) -> None:
    job = manifest()
    job.gpu = 1
    assert strained([(manifest(), Progress("render")), (job, progress)]) == expected
