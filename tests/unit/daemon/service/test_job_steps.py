"""The steps of a job without a worker: settle, deliver, fail, and clear away."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from daemon.errors import LeaseLostError, ManifestLostError
from daemon.jobs import attempts
from daemon.jobs.manifest import JobState, Move
from daemon.observability.events import Delivered, JobFailed
from daemon.share import leases
from daemon.share.rename import FileMark
from daemon.worker.protocol import Failed
from tests.support.jobs import Jobs
from tests.support.share import claimed, drop, finished, make_share, tree


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    return Jobs(make_share(tmp_path))


def write_more(source: Path) -> None:
    with source.open("ab") as late:
        late.write(b", second half")


def test_a_job_is_queued_once_its_source_is_quiet(jobs: Jobs) -> None:
    held, steps = jobs.hold(claimed(jobs.share, "x.mp4")), jobs.steps(settle_s=10)
    states = []
    for _ in range(4):
        steps.take(held)
        states.append(held.job.manifest.state)
        jobs.clock.now += 4
    assert states == [JobState.SETTLING] * 3 + [JobState.QUEUED]
    assert held.job.manifest.key
    assert held.job.manifest.source is not None


@pytest.mark.parametrize("name", ["source", "sidecar.yaml"])
def test_a_pipe_that_takes_an_input_s_place_is_refused(jobs: Jobs, name: str) -> None:
    """To open it would block for ever."""
    drop(jobs.share, "x.dualface.yaml", b"swap: true")
    held, steps = jobs.hold(claimed(jobs.share, "x.mp4")), jobs.steps()
    (held.job.folder / name).unlink()
    os.mkfifo(held.job.folder / name)
    with pytest.raises(ManifestLostError, match=f"The job's {name} is no regular file."):
        steps.take(held)
    attempts.fail(held.job.manifest, Failed.of(ManifestLostError("It is no regular file.")))
    steps.take(held)
    assert tree(jobs.share.failed) == {"x.mp4", "x.dualface.yaml", "x.report.json"}


def test_a_finished_job_is_delivered_and_cleared_away(jobs: Jobs) -> None:
    held = jobs.hold(finished(jobs.share, "x.mp4"))
    jobs.steps().take(held)
    assert tree(jobs.share.originals) == {"x.mp4"}
    assert [type(event) for event in jobs.published] == [Delivered]
    assert len(jobs.held) == 0
    assert not held.job.folder.exists()


def test_a_failed_job_leaves_its_source_and_a_report(jobs: Jobs) -> None:
    held = jobs.queued("x.mp4")
    attempts.fail(held.job.manifest, Failed("NOT_MEDIA", "no video", "export again"))
    jobs.steps().take(held)
    assert tree(jobs.share.failed) == {"x.mp4", "x.report.json"}
    (event,) = jobs.published
    assert isinstance(event, JobFailed)
    assert (event.failure.code, event.report) == ("NOT_MEDIA", "failed/x.report.json")


def test_a_source_that_was_written_to_settles_again(jobs: Jobs) -> None:
    held = jobs.hold(finished(jobs.share, "x.mp4"))
    write_more(held.job.source)
    jobs.steps().take(held)
    assert held.job.manifest.state is JobState.SETTLING
    assert tree(jobs.share.outbox) == set()


def test_a_job_with_a_published_file_is_not_started_over(jobs: Jobs) -> None:
    held = jobs.hold(finished(jobs.share, "x.mp4"))
    write_more(held.job.source)
    held.job.manifest.publish = [Move("video", "output.mp4", "outbox/x.dual.mp4", FileMark(1, 1, 1))]
    assert not jobs.steps().settles_again(held)
    assert held.job.manifest.state is JobState.DELIVERING


def test_nothing_is_published_without_the_lease(jobs: Jobs) -> None:
    held = jobs.hold(finished(jobs.share, "x.mp4"))
    leases.take_over(held.job.folder)
    with pytest.raises(LeaseLostError):
        jobs.steps().take(held)
    assert tree(jobs.share.outbox) == set()
