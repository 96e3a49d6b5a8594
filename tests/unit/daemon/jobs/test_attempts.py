"""What a manifest records of attempts."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.executor.protocol import Place
from daemon.jobs import attempts
from daemon.jobs.fault_policy import Action, Decision, FaultCounts
from daemon.jobs.job import Job, load_job
from daemon.jobs.manifest import JobState
from daemon.worker.protocol import GPU, Failed, Finished
from pipeline.errors import StorageError
from tests.support.share import claimed, make_share

FAILURE = Failed("NOT_MEDIA", "no video", "export again")


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return claimed(make_share(tmp_path), "x.mp4")


def test_an_attempt_is_on_disk_before_it_starts(job: Job) -> None:
    attempts.begin(job, Place("studio", GPU(1, 0)))
    stored = load_job(job.folder).manifest
    assert (stored.state, stored.attempts, stored.node, stored.gpu) == (JobState.WORKING, 1, "studio", 1)
    attempts.cancel(job)
    stored = load_job(job.folder).manifest
    assert (stored.state, stored.attempts) == (JobState.QUEUED, 0)


def test_an_attempt_that_cannot_be_written_down_does_not_count(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(state: JobState) -> None:
        raise StorageError(f"{state} cannot be written.")

    monkeypatch.setattr(job, "save", fail)
    with pytest.raises(StorageError):
        attempts.begin(job, Place("studio"))
    assert job.manifest.attempts == 0


def test_only_a_checkpoint_of_the_last_attempt_is_progress(job: Job) -> None:
    checkpoint = job.folder / "checkpoint.json"
    checkpoint.write_text("{}")
    attempts.begin(job, Place("studio"))
    assert not attempts.has_progressed(job)
    checkpoint.write_text("{} ")
    assert attempts.has_progressed(job)


@pytest.mark.parametrize(
    ("action", "attempt_counts", "state", "left"),
    [
        (Action.DELIVER, True, JobState.DELIVERING, 2),
        (Action.RESUME, False, JobState.QUEUED, 1),
        (Action.RETRY, True, JobState.QUEUED, 2),
        (Action.DEFER, False, JobState.QUEUED, 1),
        (Action.FAIL, True, JobState.FAILING, 2),
    ],
)
def test_decisions_are_recorded(job: Job, action: Action, attempt_counts: bool, state: JobState, left: int) -> None:
    job.manifest.attempts = 2
    attempts.record(job.manifest, Decision(action, FaultCounts(1, 2), attempt_counts, failure=FAILURE))
    manifest = job.manifest
    assert (manifest.state, manifest.attempts, attempts.counts(manifest)) == (state, left, FaultCounts(1, 2))
    assert (manifest.error is not None) == (action is Action.FAIL)


def test_a_result_is_recorded(job: Job) -> None:
    finished = Finished("succeeded", "fine", {"video": "output.mp4"}, 1, 1.0, 1.0)
    attempts.record(job.manifest, Decision(Action.DELIVER, FaultCounts(), result=finished))
    assert (job.manifest.result or {})["files"] == {"video": "output.mp4"}
