"""Many files and many jobs at once on one GPU: memory stays where it was, and under the guard."""

from __future__ import annotations

import statistics
from pathlib import Path

import psutil
import pytest

from engines.settings import DeviceSettings
from tests.gpu.bench_gpu import write_clip
from tests.gpu.running import MIB, Watch, drop, gpu_service, reports, running, total_bytes, used_bytes
from tests.support.gpu_presence import needs_gpu
from tests.support.recordings import write_recording
from tests.support.service import Service

pytestmark = [pytest.mark.gpu, needs_gpu, pytest.mark.timeout(400)]

FILES, ROUND = 200, 20


def host_bytes(service: Service) -> tuple[int, int]:
    """Resident memory of the service, and of its workers together."""
    assert service.process is not None
    main = psutil.Process(service.process.pid)
    return main.memory_info().rss, sum(worker.memory_info().rss for worker in main.children())


def test_two_hundred_files_leave_nothing_behind(tmp_path: Path) -> None:
    """After each twenty files: the most that was held meanwhile, of the GPU and of the host."""
    source = write_recording(tmp_path / "x.mp4", seconds=1, fps=10, size=(320, 240), audio_track=False)
    names = [f"{n:03d}" for n in range(FILES)]
    service = gpu_service(tmp_path / "service", jobs=10)
    before = used_bytes()
    gpu, workers, main = [], [], []
    with running(service):
        drop(service, source, names)
        for begin in range(0, FILES, ROUND):
            with Watch(lambda: (used_bytes(), *host_bytes(service))) as watch:
                service.wait_for(lambda n=begin: delivered(service) >= n + ROUND, f"{begin + ROUND} files", 120)
            for kept, seen in zip((gpu, main, workers), zip(*watch.seen, strict=True), strict=True):
                kept.append(max(seen) // MIB)
        found = reports(service, names)
        service.wait_for(lambda: not service.workers(), "the last workers' end")
        after = used_bytes()
    print(f"GPU {before // MIB} MiB before, {after // MIB} after; at most each 20 files: GPU {gpu}, "  # noqa: T201
          f"workers {workers}, service {main} MiB")  # fmt: skip
    assert {report["status"] for report in found.values()} == {"succeeded"}
    assert after - before < 64 * MIB
    for held in (gpu[1:-1], workers[1:-1]):  # the first and the last round are not full
        assert statistics.mean(held[-3:]) < 1.1 * statistics.mean(held[:3])
    assert main[-1] - main[0] < 24


def test_eight_jobs_of_full_hd_stay_under_the_guard(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "full.mp4", 900)
    names = [f"job {n}" for n in range(8)]
    service = gpu_service(tmp_path / "service", jobs=8, segments={"seconds": 10})
    with running(service), Watch(lambda: (used_bytes(), len(service.workers()))) as watch:
        drop(service, source, names)
        found = reports(service, names, 180)
    most, jobs = max(used for used, _ in watch.seen), max(jobs for _, jobs in watch.seen)
    print(f"{jobs} jobs of 1080p held at most {most // MIB} of {total_bytes() // MIB} MiB")  # noqa: T201
    assert jobs == 8
    assert most < DeviceSettings().vram_guard * total_bytes()
    for report in found.values():
        assert report["status"] == "succeeded"
        assert (report["backends"]["decoder"], report["output"]["frames"]) == ("nvdec", 960)


def delivered(service: Service) -> int:
    return len(list((service.root / "outbox").glob("*.report.json")))
