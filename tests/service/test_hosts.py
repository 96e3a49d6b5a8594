"""Several services on one share: each file is delivered once, whoever dies or sleeps."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.recordings import packets, write_recording
from tests.support.service import Service, outputs

NAMES = ("alpha", "beta", "gamma")
LEASES = {"renew_s": 0.3, "expire_s": 4}


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_recording(
        tmp_path_factory.mktemp("media") / "short.mp4", seconds=1, fps=10, size=(320, 180)
    ).read_bytes()


@pytest.fixture
def make_host(make_service: Callable[..., Service], tmp_path: Path) -> Callable[..., Service]:
    def make(name: str, **sections: dict[str, Any]) -> Service:
        return make_service(name=name, root=tmp_path / "share", leases={**LEASES, "host": name}, **sections)

    return make


def drop(service: Service, name: str, content: bytes) -> None:
    """Each file with an end of its own (an MP4 box that nobody reads), so that no job builds on another's state."""
    free = name.encode().ljust(32)
    service.inbox(name).write_bytes(content + (8 + len(free)).to_bytes(4, "big") + b"free" + free)


def delivered(services: list[Service]) -> Counter[str]:
    return Counter(line["file"] for service in services for line in service.events("job delivered"))


@pytest.mark.timeout(1800)  # on a busy machine
def test_three_hosts_share_the_work_and_one_dies(make_host: Callable[..., Service], short: bytes) -> None:
    services = [make_host(name, profiles={"default": {"preset": "ultrafast", "crf": 40}}) for name in NAMES]
    names = [f"{number:02}.mp4" for number in range(24)]
    for name in names:
        drop(services[0], name, short)
    for service in services:
        service.start()
    victim, *others = services
    victim.wait_for(lambda: all(s.events("job delivered") for s in services), "something from each", timeout_s=200)
    victim.wait_for(victim.workers, "work in progress")
    workers = victim.workers()
    victim.kill()
    psutil.wait_procs(workers, timeout=5)
    others[0].wait_for(lambda: len(others[0].files("originals")) == len(names), "all", timeout_s=400)
    others[0].wait_for(lambda: others[0].jobs() == [], "the end of all jobs")

    expected = set().union(*(outputs(Path(name).stem) for name in names))
    assert others[0].files("outbox") == expected, "each once, and none under a second number"
    assert others[0].files("originals") == set(names)
    assert others[0].files("failed") == others[0].files("inbox") == set()
    counts = delivered(services)
    assert set(counts.values()) <= {1}
    assert sum(len(s.events("job taken over from another host")) for s in others) >= 1
    page = others[0].status()
    assert {host["host"] for host in page["hosts"]} == set(NAMES)
    assert {job["host"] for job in page["finished"]} == set(NAMES)


def test_a_host_that_slept_notices_that_its_job_is_gone(
    make_host: Callable[..., Service], recording: Path, undisturbed: list[tuple[int, int, bytes]]
) -> None:
    """Service and worker stand still for longer than a lease lasts, as a suspended machine does, and wake up."""
    sleeper, other = (make_host(name) for name in NAMES[:2])
    sleeper.inbox("x.mp4").write_bytes(recording.read_bytes())
    sleeper.start()
    sleeper.wait_for(lambda: any(sleeper.root.glob(".dualface/jobs/*/checkpoint.json")), "a checkpoint")
    asleep = [*sleeper.workers(), psutil.Process(sleeper.process.pid)]  # type: ignore[union-attr]
    for process in reversed(asleep):
        process.send_signal(signal.SIGSTOP)
    other.start()
    other.wait_for(lambda: other.events("job taken over from another host"), "the takeover")
    other.wait_for(lambda: [job["host"] for job in other.status()["running"]] == ["beta"], "the page")
    assert {host["host"]: host["running"] for host in other.status()["hosts"]} == {"alpha": 0, "beta": 1}
    for process in asleep:
        process.send_signal(signal.SIGCONT)
    sleeper.wait_for(lambda: sleeper.events("job lost to another host"), "the notice")
    other.wait_for(lambda: other.exists("originals/x.mp4"), "the delivery")
    other.wait_for(lambda: other.jobs() == [], "the end of the job")
    assert other.files("outbox") == outputs("x")
    assert packets(other.root / "outbox/x.dual.mp4") == undisturbed
    assert delivered([sleeper, other]) == {"inbox/x.mp4": 1}
    assert other.report("outbox/x.dual.report.json")["resilience"]["resumed_at_s"], "it went on where the other was"
    assert sleeper.stop() == 0
