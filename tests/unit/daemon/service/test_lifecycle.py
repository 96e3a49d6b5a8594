"""The life of a held job: attempts, whose fault trouble is, and what then happens to the job."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from daemon.errors import InvalidOutputError, ShareAwayError
from daemon.executor.protocol import Died, Outcome, Place
from daemon.jobs.claim import claim
from daemon.jobs.held_jobs import HeldJob
from daemon.jobs.job import load_job
from daemon.jobs.manifest import JobState
from daemon.observability.events import AttemptEnded, AttemptStarted, JobDeferred, JobFailed
from daemon.share import leases
from daemon.worker.protocol import GPU, Failed, Finished, RunJob, Stopped
from tests.support.jobs import Jobs
from tests.support.share import candidate, claimed, drop, finished, make_share

KILLED = Died("SIGKILL", -9)
FULL = Failed("DISK_FULL", "writing job.json failed: Disk quota exceeded", "", environmental=True)


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    (tmp_path / "share").mkdir()
    return Jobs(make_share(tmp_path / "share"))


def kinds(jobs: Jobs) -> list[type]:
    return [type(event) for event in jobs.published]


@pytest.mark.parametrize("is_away", [True, False])
def test_trouble_without_the_share_is_not_the_job_s(jobs: Jobs, is_away: bool) -> None:
    held = jobs.hold(finished(jobs.share, "x.mp4"))

    def deliver(held: HeldJob) -> None:
        if is_away:
            jobs.share.root.rename(jobs.share.root.with_name("elsewhere"))
        raise InvalidOutputError("There is nothing.")

    jobs.lifecycle()._run_step(held, deliver)
    assert held.job.manifest.state is (JobState.DELIVERING if is_away else JobState.FAILING)
    assert held.code == (ShareAwayError.code if is_away else "")
    assert held.due


@pytest.mark.parametrize(("late", "state"), [(False, JobState.QUEUED), (True, JobState.SETTLING)])
def test_a_claimed_job_is_queued_at_once_unless_its_file_has_changed(jobs: Jobs, late: bool, state: JobState) -> None:
    drop(jobs.share, "x.mp4")
    seen = candidate(jobs.share, "x.mp4")
    job = claim(jobs.share, seen, jobs.share.inboxes[0], jobs.held.lease)
    assert job is not None
    if late:
        job.source.write_bytes(b"more")
    jobs.lifecycle().accept(job, seen)
    assert job.manifest.state is state


def test_an_attempt_from_its_start_to_its_result(jobs: Jobs) -> None:
    lifecycle, held = jobs.lifecycle(), jobs.queued("x.mp4")
    lifecycle.start_attempt(held, Place("studio", GPU(3, 1)))
    order = jobs.executor.orders[held.job.id]
    assert isinstance(order, RunJob)
    assert (order.spec.attempt, order.spec.device.index) == (1, 3)
    stored = load_job(held.job.folder).manifest
    assert (stored.state, stored.attempts, stored.gpu) == (JobState.WORKING, 1, 3)
    jobs.clock.now += 60
    jobs.executor.end(held.job.id)
    lifecycle.end_attempt(held.job.id, Finished("succeeded", "fine", {}, 1, 1.0, 1.0))
    stored = load_job(held.job.folder).manifest
    assert (stored.state, stored.worked_s) == (JobState.DELIVERING, 60)
    assert kinds(jobs) == [AttemptStarted, AttemptEnded]


@pytest.mark.parametrize(
    ("outcome", "state", "attempts", "waits", "worked_s"),
    [
        (KILLED, JobState.QUEUED, 1, True, 60),
        (FULL, JobState.QUEUED, 0, True, 0),
        (Stopped(), JobState.QUEUED, 0, False, 60),
        (Failed("NOT_MEDIA", "no video", "export again"), JobState.FAILING, 1, False, 60),
    ],
)
def test_what_follows_from_the_end_of_an_attempt(
    jobs: Jobs, outcome: Outcome, state: JobState, attempts: int, waits: bool, worked_s: float
) -> None:
    lifecycle, held = jobs.lifecycle(), jobs.queued("x.mp4")
    lifecycle.start_attempt(held, Place("studio"))
    jobs.clock.now += 60
    jobs.executor.end(held.job.id)
    lifecycle.end_attempt(held.job.id, outcome)
    stored = load_job(held.job.folder).manifest
    assert (stored.state, stored.attempts, stored.worked_s) == (state, attempts, worked_s)
    assert held.due != waits
    assert (JobDeferred in kinds(jobs)) == waits


def test_workers_that_the_service_kills_when_it_stops_have_not_failed(jobs: Jobs) -> None:
    lifecycle, held = jobs.lifecycle(), jobs.queued("x.mp4")
    lifecycle.start_attempt(held, Place("studio"))
    lifecycle.stop()
    jobs.executor.end(held.job.id)
    lifecycle.end_attempt(held.job.id, KILLED)
    stored = load_job(held.job.folder).manifest
    assert (stored.state, stored.attempts, stored.consecutive_failures) == (JobState.QUEUED, 0, 0)


def test_an_attempt_that_no_process_can_be_started_for_does_not_count(jobs: Jobs) -> None:
    lifecycle, held = jobs.lifecycle(), jobs.queued("x.mp4")
    jobs.executor.refuses = True
    lifecycle.start_attempt(held, Place("studio"))
    assert held.code == "STORAGE"
    jobs.clock.now += 100
    lifecycle.advance()
    stored = load_job(held.job.folder).manifest
    assert (stored.state, stored.attempts) == (JobState.QUEUED, 0)


def test_a_source_that_has_gone_fails_the_job(jobs: Jobs) -> None:
    lifecycle, held = jobs.lifecycle(), jobs.queued("x.mp4")
    held.job.source.unlink()
    lifecycle.start_attempt(held, Place("studio"))
    assert (held.job.manifest.error or {})["code"] == "SOURCE_GONE"
    assert held.job.id not in jobs.executor


def test_a_lost_lease_ends_the_worker_and_the_job_is_dropped(jobs: Jobs) -> None:
    lifecycle, held = jobs.lifecycle(), jobs.queued("x.mp4")
    lifecycle.start_attempt(held, Place("studio"))
    leases.take_over(held.job.folder)
    jobs.clock.now += jobs.settings.leases.renew_s
    with capture_logs() as lines:
        lifecycle.advance()
    assert jobs.executor.killed == [held.job.id]
    assert "job lost to another host" in [line["event"] for line in lines]


def test_a_removed_directory_fails_the_job_and_one_that_another_host_took_does_not(jobs: Jobs) -> None:
    removed, taken = (jobs.hold(claimed(jobs.share, name)) for name in ("x.mp4", "y.mp4"))
    shutil.rmtree(removed.job.folder)
    leases.take_over(taken.job.folder)
    lifecycle = jobs.lifecycle()
    with capture_logs() as lines:
        for held in (removed, taken):
            lifecycle._drop_lost(held)
    (event,) = jobs.published
    assert isinstance(event, JobFailed)
    assert (event.job, event.failure.code, event.report) == (removed.job, "JOB_REMOVED", "")
    assert [line["event"] for line in lines] == ["job directory has gone", "job lost to another host"]
    assert len(jobs.held) == 0


def test_a_removed_directory_fails_no_job_that_another_host_may_have_finished(jobs: Jobs) -> None:
    held = jobs.hold(claimed(jobs.share, "x.mp4"))
    shutil.rmtree(held.job.folder)
    jobs.others_active = True
    jobs.lifecycle()._drop_lost(held)
    assert jobs.published == []


def test_a_job_that_waits_for_space_shows_free_space_and_removes_cached_segments(jobs: Jobs) -> None:
    for name in ("old", "older"):
        (jobs.share.finished / name).mkdir()
    held, lifecycle = jobs.queued("x.mp4"), jobs.lifecycle()
    lifecycle._defer(held, FULL)
    assert re.fullmatch(r"writing job\.json failed: Disk quota exceeded \(\d+ MiB free\)", held.reason)
    assert [reason for _, reason in jobs.overview.lacking_space()] == [held.reason]
    left = []
    for _ in range(2):
        lifecycle.advance()
        left.append(len(list(jobs.share.finished.iterdir())))
        jobs.clock.now += 1
    assert left == [1, 0]


def test_before_a_job_of_a_lost_node_goes_on_its_directory_is_moved(jobs: Jobs) -> None:
    """The old worker may still write; its paths are gone, and the loss costs no attempt."""
    held = jobs.queued("x.mp4")
    lifecycle = jobs.lifecycle()
    lifecycle.start_attempt(held, Place("lab2", compute_class="cpu-a"))
    before = held.job.folder
    (before / "half.part").touch()
    jobs.executor.end(held.job.id)
    lifecycle.end_attempt(held.job.id, Died("node lost", 0, "lab2: no answer", may_still_run=True))
    assert not before.exists()
    assert held.job.folder.name == f"{before.name}~2"
    assert not (held.job.folder / "half.part").exists()
    stored = load_job(held.job.folder).manifest
    assert (stored.state, stored.attempts, stored.node) == (JobState.QUEUED, 0, "lab2")
    assert (held.code, "lab2" in held.reason) == ("NODE_LOST", True)
    assert leases.read(held.job.folder) == leases._for(held.job.folder, jobs.held.lease)


def test_a_directory_that_cannot_be_moved_yet_is_moved_before_the_next_step(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = jobs.queued("x.mp4")
    lifecycle = jobs.lifecycle()
    lifecycle.start_attempt(held, Place("lab2"))
    jobs.executor.end(held.job.id)
    with monkeypatch.context() as patched:
        patched.setattr(leases, "take_over", lambda _: (_ for _ in ()).throw(OSError(5, "Input/output error")))
        lifecycle.end_attempt(held.job.id, Died("node lost", 0, "lab2", may_still_run=True))
    assert held.must_move
    jobs.clock.now += 1000
    lifecycle.start_attempt(held, Place("lab3"))
    assert held.job.folder.name.endswith("~2")
    order = jobs.executor.orders[held.job.id]
    assert isinstance(order, RunJob)
    assert order.spec.work_dir == held.job.folder


def test_a_directory_that_another_host_has_taken_meanwhile_is_lost(jobs: Jobs) -> None:
    held = jobs.queued("x.mp4")
    lifecycle = jobs.lifecycle()
    lifecycle.start_attempt(held, Place("lab2"))
    jobs.executor.end(held.job.id)
    leases.take_over(held.job.folder)
    lifecycle.end_attempt(held.job.id, Died("node lost", 0, "lab2", may_still_run=True))
    assert held not in list(jobs.held)
