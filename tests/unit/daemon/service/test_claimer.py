"""From a settled file in an inbox to a claimed job."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.inbox.candidate import Candidate
from daemon.inbox.inbox import inboxes
from daemon.inbox.intake import Intake
from daemon.jobs.job import Job
from daemon.service.claimer import Claimer
from daemon.share.share import Share
from tests.support.jobs import ManualClock
from tests.support.share import LEASE, drop, make_share, settings_for, tree


class Claims:
    """A claimer on a share, and the jobs that it has handed over."""

    def __init__(self, share: Share) -> None:
        settings = settings_for(share.root, settle={"unfinished_s": 0, "chapters_s": 0})
        self.clock = ManualClock()
        self.intake = Intake(inboxes(settings, 0, self.clock))
        self.accepted: list[tuple[Job, Candidate]] = []
        self.claimer = Claimer(
            settings,
            share,
            self.intake,
            self.clock,
            lease=lambda: LEASE,
            accept=lambda job, candidate: self.accepted.append((job, candidate)),
        )

    def scan(self) -> None:
        for _ in range(5):
            self.clock.now += 60
            self.intake.advance(60)


@pytest.fixture
def share(tmp_path: Path) -> Share:
    return make_share(tmp_path)


@pytest.fixture
def claims(share: Share) -> Claims:
    return Claims(share)


def test_a_settled_file_is_claimed_and_handed_over(share: Share, claims: Claims) -> None:
    assert not claims.claimer.claim_next()
    drop(share, "x.mp4")
    claims.scan()
    assert claims.claimer.claim_next()
    ((job, candidate),) = claims.accepted
    assert (job.source_name, candidate.relative) == ("x.mp4", "x.mp4")
    assert tree(share.inboxes[0]) == set()
    assert not claims.claimer.claim_next()


def test_a_file_that_another_host_takes_is_forgotten(share: Share, claims: Claims) -> None:
    path = drop(share, "x.mp4")
    claims.scan()
    path.unlink()
    assert claims.claimer.claim_next(), "something was tried"
    assert claims.accepted == []
    assert not claims.claimer.claim_next()


def test_after_trouble_with_the_share_nothing_is_claimed_for_a_while(share: Share, claims: Claims) -> None:
    drop(share, "x.mp4")
    claims.scan()
    jobs = share.jobs.rename(share.jobs.with_name("elsewhere"))
    assert claims.claimer.claim_next()
    assert tree(share.inboxes[0]) == {"x.mp4"}
    jobs.rename(share.jobs)
    claims.scan()
    assert claims.accepted == []
    claims.clock.now += 1000
    claims.claimer.claim_next()
    assert len(claims.accepted) == 1
