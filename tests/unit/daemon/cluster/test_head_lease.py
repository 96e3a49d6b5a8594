"""Of several hosts one is the head."""

from __future__ import annotations

import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.cluster.head_lease import HeadLease
from daemon.share import leases
from daemon.share.share import Share
from tests.support.jobs import ManualClock
from tests.support.share import make_share, settings_for


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def share(tmp_path: Path) -> Share:
    return make_share(tmp_path)


def lease(share: Share, host: str, clock: ManualClock, renew_s: float = 10) -> HeadLease:
    settings = settings_for(share.root, leases={"host": host, "renew_s": renew_s, "expire_s": 120})
    return HeadLease(settings, share.state, clock)


def test_one_host_is_the_head_until_it_stands_still(share: Share, clock: ManualClock) -> None:
    first, second, third = (lease(share, name, clock) for name in ("a", "b", "c"))
    assert first.try_once()
    assert not second.try_once()
    assert not third.try_once()
    clock.now = 119
    assert not second.try_once()
    clock.now = 120
    assert second.try_once()
    assert not third.try_once(), "its time begins anew with the new head"
    assert third.holder is not None
    assert third.holder.host == "b"


def test_a_head_that_renews_stays_and_learns_that_it_has_lost(share: Share, clock: ManualClock) -> None:
    first, second = lease(share, "a", clock, renew_s=0.01), lease(share, "b", clock)
    assert first.try_once()
    lost = threading.Event()
    first.keep(lost.set)
    before = second.holder
    assert before is not None
    while second.holder == before:
        pass
    assert not lost.is_set()
    taken = leases.take_over(share.state / "head")
    assert taken is not None
    assert lost.wait(10)
    assert taken.exists()
    first.release()
    assert taken.exists(), "it is another's now"


def test_after_an_orderly_end_a_standby_need_not_wait(share: Share, clock: ManualClock) -> None:
    first, second = lease(share, "a", clock), lease(share, "b", clock)
    assert first.try_once()
    assert not second.try_once()
    first.release()
    assert second.try_once()


def test_a_head_that_was_killed_comes_back_at_once(share: Share, clock: ManualClock) -> None:
    assert lease(share, "a", clock).try_once()
    assert not lease(share, "a", clock).try_once(), "it still runs"
    ended = subprocess.Popen(["true"])
    ended.wait()
    folder = share.state / "head"
    killed = leases.read(folder)
    assert killed is not None
    leases.write(folder, replace(killed, pid=ended.pid))
    assert lease(share, "a", clock).try_once()
    assert [path.name for path in share.state.glob("head*")] == ["head~2"]


def test_the_newest_folder_counts(share: Share, clock: ManualClock) -> None:
    for name in ("head~9", "head~10", "headless"):
        (share.state / name).mkdir()
    host = lease(share, "a", clock)
    assert not host.try_once()
    clock.now = 120
    assert host.try_once()
    assert (share.state / "head~11").is_dir()
