"""The real service works on one recording with several workers; kills and a full disk change nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from daemon.layout import LOCK_FILE
from tests.support.recordings import packets
from tests.support.service import Service, fill, outputs

Packets = list[tuple[int, int, bytes]]
SPLIT: dict[str, dict[str, Any]] = {"cluster": {"split": "always"}, "workers": {"concurrent_jobs": 3}}
KILLED = "part worker ended"


def processes(service: Service) -> Iterator[tuple[psutil.Process, list[str]]]:
    """The workers that run, each with the files that it has open."""
    for worker in service.workers():
        with suppress(psutil.NoSuchProcess):
            yield worker, [file.path for file in worker.open_files()]


def conducts(paths: list[str]) -> bool:
    return any(path.endswith(f"/{LOCK_FILE}") for path in paths)


def renders(paths: list[str]) -> bool:
    """Whether segments of a part are written."""
    return not conducts(paths) and any("/parts/" in path and path.endswith(".part") for path in paths)


def detects(paths: list[str]) -> bool:
    """Whether the source is decoded and nothing is written."""
    return not conducts(paths) and not renders(paths) and any(path.endswith("/source") for path in paths)


def those(service: Service, do: Callable[[list[str]], bool]) -> list[psutil.Process]:
    return [worker for worker, paths in processes(service) if do(paths)]


def started(service: Service, recording: Path) -> Service:
    shutil.copy(recording, service.inbox("x.mp4"))
    return service.start()


def kill_one(service: Service, do: Callable[[list[str]], bool], what: str) -> None:
    """SIGKILL for the first process that is found."""
    found: list[psutil.Process] = []

    def look() -> bool:
        found[:] = those(service, do) if service.events("recording is split") else []
        return bool(found)

    service.wait_for(look, what)
    found[0].kill()


def delivered(service: Service, undisturbed: Packets) -> dict[str, Any]:
    """Wait for the delivery, check that there is one complete output and nothing else, and return the report."""
    service.wait_for(lambda: service.exists("originals/x.mp4") and not service.jobs(), "the delivery")
    assert service.files("outbox") == outputs("x")
    assert service.files("inbox") == service.files("failed") == set()
    assert packets(service.root / "outbox" / "x.dual.mp4") == undisturbed
    assert not list((service.root / ".dualface").rglob("parts"))
    assert len(service.events("job delivered")) == 1
    service.wait_for(lambda: len(service.workers()) <= 1, "the end of all workers")  # one may stand by
    return service.report("outbox/x.dual.report.json")


def test_three_workers_deliver_the_same(
    make_service: Callable[..., Service], recording: Path, undisturbed: Packets, calm_outbox: Path
) -> None:
    service = make_service(**SPLIT)
    seen: list[tuple[float, float | None]] = []
    started(service, recording)

    def look() -> bool:
        running = service.status()["running"]
        assert len(running) <= 1, "one recording, one progress bar"
        seen.extend((job["percent"], job["eta_s"]) for job in running if job["stage"] == "render")
        return service.exists("outbox/x.dual.report.json")

    service.wait_for(look, "the report")
    report = delivered(service, undisturbed)
    assert report["timing"]["workers"] == 3
    assert not [note for note in report["backends"]["notes"] if "in parts" in note]
    assert [percent for percent, _ in seen] == sorted(percent for percent, _ in seen)
    assert seen
    (line,) = service.events("recording is split")
    assert (line["file"], line["workers"], line["parts"]) == ("inbox/x.mp4", 3, 3)
    preview = "x.dual.preview.jpg"
    assert (service.root / "outbox" / preview).read_bytes() == (calm_outbox / preview).read_bytes()


@pytest.mark.parametrize(("do", "what"), [(detects, "a detecting worker"), (renders, "a rendering worker")])
def test_a_killed_part_worker_is_replaced(
    do: Callable[[list[str]], bool],
    what: str,
    make_service: Callable[..., Service],
    recording: Path,
    undisturbed: Packets,
) -> None:
    service = started(make_service(**SPLIT), recording)
    kill_one(service, do, what)
    report = delivered(service, undisturbed)
    (line,) = service.events(KILLED)
    assert "SIGKILL" in line["reason"]
    assert (report["resilience"]["attempts"], report["resilience"]["resumed_at_s"]) == (1, [])


def test_a_killed_conductor_takes_its_workers_with_it_and_the_job_goes_on(
    make_service: Callable[..., Service], recording: Path, undisturbed: Packets
) -> None:
    service = started(make_service(**SPLIT), recording)
    service.wait_for(lambda: those(service, renders), "a rendering worker")
    workers = service.workers()
    kill_one(service, conducts, "the conductor")
    gone, _ = psutil.wait_procs(workers, timeout=20)
    assert {worker.pid for worker in gone} >= {worker.pid for worker in workers} - {w.pid for w in service.workers()}
    report = delivered(service, undisturbed)
    assert report["resilience"]["attempts"] == 2


def test_a_killed_service_leaves_no_worker_and_the_next_one_goes_on(
    make_service: Callable[..., Service], recording: Path, undisturbed: Packets
) -> None:
    service = started(make_service(**SPLIT), recording)
    service.wait_for(lambda: list((service.root / ".dualface").rglob("checkpoint.json")), "the first checkpoint")
    workers = service.workers()
    service.kill()
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert alive == []
    service.start()
    report = delivered(service, undisturbed)
    assert report["resilience"]["resumed_at_s"]


def test_a_stop_in_the_middle_keeps_what_is_done(
    make_service: Callable[..., Service], recording: Path, undisturbed: Packets
) -> None:
    service = started(make_service(**SPLIT), recording)
    service.wait_for(service.segments, "the first segments")
    workers = service.workers()
    assert service.stop() == 0
    assert not [worker for worker in workers if worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE]
    service.start()
    report = delivered(service, undisturbed)
    assert report["resilience"]["attempts"] == 1


def test_a_full_disk_in_the_parts_waits_for_space(small_disk: Path, recording: Path, undisturbed: Packets) -> None:
    service = Service(small_disk.parent, degradation={"disk_wait_s": 1}, **SPLIT)
    ballast = service.root / "ballast"
    try:
        started(service, recording)
        service.wait_for(lambda: service.events("recording is split"), "the parts")
        fill(ballast)
        service.wait_for(lambda: "DISK_FULL" in {line["code"] for line in service.events("job waits")}, "the full disk")
        ballast.unlink()
        report = delivered(service, undisturbed)
        assert (report["status"], report["resilience"]["attempts"]) == ("succeeded", 1)
    finally:
        service.close()
