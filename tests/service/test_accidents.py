"""Stops, kills and hangs at random moments: the delivered video is the one of an undisturbed run, packet by packet."""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.support.recordings import packets
from tests.support.service import Service, outputs

Packets = list[tuple[int, int, bytes]]


def checkpoints(service: Service) -> int:
    """How many segments the only job has finished so far."""
    return sum(1 for job in service.jobs() for path in (job / "segments").glob("*") if path.suffix != ".part")


def delivered_once(service: Service, undisturbed: Packets) -> dict[str, object]:
    service.wait_for(lambda: service.exists("originals/x.mp4"), "the delivery")
    service.wait_for(lambda: service.jobs() == [], "the end of the job")
    assert service.files("outbox") == outputs("x")
    assert service.files("inbox") == service.files("failed") == set()
    assert packets(service.root / "outbox" / "x.dual.mp4") == undisturbed
    resilience: dict[str, object] = service.report("outbox/x.dual.report.json")["resilience"]
    return resilience


def test_stop_and_start_again(service: Service, recording: Path, undisturbed: Packets) -> None:
    shutil.copy(recording, service.inbox("x.mp4"))
    service.start()
    service.wait_for(lambda: checkpoints(service) >= 2, "two segments")
    begun = time.monotonic()
    assert service.stop() == 0
    assert time.monotonic() - begun < 3
    assert service.files("outbox") == set()
    assert len(service.events("job stopped")) == 1
    service.start()
    resilience = delivered_once(service, undisturbed)
    assert resilience["resumed_at_s"]
    assert resilience["attempts"] == 1, "an orderly stop costs no attempt"


@pytest.mark.parametrize("seed", range(3))
def test_kill_at_random_moments(
    make_service: Callable[..., Service], recording: Path, undisturbed: Packets, calm_outbox: Path, seed: int
) -> None:
    """The worker or the whole service, again and again; each time some work has gone on in between."""
    chance = random.Random(seed)
    service = make_service()
    shutil.copy(recording, service.inbox("x.mp4"))
    service.start()
    for kill in range(4):
        done = checkpoints(service)
        service.wait_for(lambda done=done: checkpoints(service) > done or service.files("outbox"), "a new segment")
        time.sleep(chance.uniform(0, 0.5))
        if chance.random() < 0.5 and service.workers():
            service.kill_workers()
        elif not service.exists("originals/x.mp4"):
            workers = service.workers()
            service.kill()
            _, alive = psutil.wait_procs(workers, timeout=5)
            assert not alive, f"a worker outlived kill {kill} of the service"
            service.start()
    resilience = delivered_once(service, undisturbed)
    assert resilience["resumed_at_s"]
    sheet = "x.dual.preview.jpg"
    assert (service.root / "outbox" / sheet).read_bytes() == (calm_outbox / sheet).read_bytes()


@pytest.mark.parametrize("moment", ["job claimed", "job started", "job delivered"])
def test_kill_of_the_service_at_the_seams(service: Service, recording: Path, undisturbed: Packets, moment: str) -> None:
    shutil.copy(recording, service.inbox("x.mp4"))
    service.start(wait=False)
    service.wait_for(lambda: service.events(moment), moment)
    service.kill()
    service.start()
    delivered_once(service, undisturbed)


def test_a_hung_worker_is_replaced_and_the_service_stays_healthy(
    make_service: Callable[..., Service], recording: Path, undisturbed: Packets
) -> None:
    service = make_service(workers={"stall_timeout_s": 20})
    shutil.copy(recording, service.inbox("x.mp4"))
    service.start()
    service.wait_for(lambda: checkpoints(service) >= 1, "a segment")
    service.workers()[0].send_signal(signal.SIGSTOP)
    seen = service.notifications().count("WATCHDOG=1")
    service.wait_for(lambda: service.notifications().count("WATCHDOG=1") > seen + 3, "pings during the hang")
    resilience = delivered_once(service, undisturbed)
    assert resilience["attempts"] == 2
    assert [line["code"] for line in service.events("job waits")] == ["WORKER_STALLED"]


def test_a_worker_that_always_dies_ends_in_failed(make_service: Callable[..., Service], recording: Path) -> None:
    """Killed before it can finish a segment, three times; another file is not held up for ever."""
    service = make_service()
    shutil.copy(recording, service.inbox("x.mp4"))
    service.start()
    for attempt in (1, 2, 3):
        service.wait_for(lambda attempt=attempt: len(service.events("job started")) == attempt, "an attempt")
        service.wait_for(
            lambda attempt=attempt: (
                _kill_early(service) or len(service.events("job waits")) >= attempt or service.files("failed")
            ),
            "its end",
        )
    service.wait_for(lambda: service.exists("failed/x.report.json"), "the report")
    assert (service.root / "failed" / "x.mp4").read_bytes() == recording.read_bytes()
    error = service.report("failed/x.report.json")["error"]
    assert error["code"] == "WORKER_DIED"
    assert "SIGKILL" in error["message"]
    assert service.files("outbox") == set()
    shutil.copy(recording, service.inbox("y.mp4"))
    service.wait_for(lambda: service.exists("originals/y.mp4"), "the next file")


def _kill_early(service: Service) -> bool:
    service.kill_workers()
    return False


def test_stop_of_an_idle_service_is_immediate(service: Service) -> None:
    service.start()
    begun = time.monotonic()
    assert service.stop() == 0
    assert time.monotonic() - begun < 3
