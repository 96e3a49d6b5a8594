"""The real service on a GPU, its workers confined as always: files in, videos out; accidents on the way."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path
from typing import Any

import av
import psutil
import pytest

from engines.cuda.encoding.sessions import probe_sessions
from tests.gpu.running import MIB, Watch, drop, gpu_service, reports, running
from tests.support.gpu_presence import needs_gpu
from tests.support.recordings import packets, still, walk, write_recording
from tests.support.service import Service, outputs

pytestmark = [pytest.mark.gpu, needs_gpu, pytest.mark.timeout(180)]

NAMES = ["one", "two", "three", "four"]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    people = walk(0.25, 0.75, 4), still(0.6)
    return write_recording(tmp_path_factory.mktemp("source") / "x.mp4", seconds=5, people=people)


@pytest.fixture(scope="module")
def long_recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Long enough that a worker can be disturbed in the middle of it."""
    return write_recording(tmp_path_factory.mktemp("source") / "long.mp4", seconds=20)


def prisons(service: Service) -> list[dict[str, Any]]:
    """How the workers that hold a GPU's context are confined."""
    return [_prison(worker) for worker in service.workers() if _uses_gpu(worker)]


def _uses_gpu(worker: psutil.Process) -> bool:
    return any("/dev/nvidia" in mapped.path for mapped in worker.memory_maps())


def _prison(worker: psutil.Process) -> dict[str, Any]:
    limit = {name: worker.rlimit(getattr(psutil, f"RLIMIT_{name}"))[0] for name in ("CORE", "AS", "NOFILE", "CPU")}
    memory = worker.memory_info()
    network = Path(f"/proc/{worker.pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()
    return {**limit, "own_network": network, "rss_mib": memory.rss // MIB, "data_mib": memory.data // MIB,
            "virtual_mib": memory.vms // MIB}  # fmt: skip


def test_confined_workers_do_whole_jobs_on_the_gpu(recording: Path, tmp_path: Path) -> None:
    service = gpu_service(tmp_path / "service", jobs=4)
    with running(service), Watch(lambda: prisons(service)) as watch:
        drop(service, recording, NAMES)
        found = reports(service, NAMES)
    (opened,) = service.events("backend works")
    assert opened["device"].startswith("cuda:0 (")
    assert opened["encoder_sessions"] == [probe_sessions(0).opened], "counted when the service starts"
    for name in NAMES:
        backends = found[name]["backends"]
        assert found[name]["status"] == "succeeded"
        assert (backends["decoder"], backends["compositor"], backends["cpu_fallback"]) == ("nvdec", "cuda", False)
        assert backends["device"].startswith("cuda:0 (")
        assert outputs(name) <= service.files("outbox")
        assert decoded(service.root / "outbox" / f"{name}.dual.mp4") == 150
    seen = [prison for each in watch.seen for prison in each]
    print("workers with a context on the GPU, at most:", {k: max(p[k] for p in seen) for k in seen[0]})  # noqa: T201
    for prison in seen[-1:]:
        assert (prison["CORE"], prison["AS"], prison["NOFILE"]) == (0, -1, 1024)
        assert prison["own_network"]


def test_a_stopped_service_goes_on_at_its_next_start(long_recording: Path, tmp_path: Path) -> None:
    service = gpu_service(tmp_path / "service", jobs=1)
    try:
        service.start()
        drop(service, long_recording, ["x"])
        service.wait_for(lambda: list(service.root.glob(".dualface/jobs/*/checkpoint.json")), "a checkpoint")
        assert service.stop() == 0
        service.start()
        report = reports(service, ["x"])["x"]
        assert service.stop() == 0
    finally:
        service.close()
    assert report["status"] == "succeeded"
    assert len(report["resilience"]["resumed_at_s"]) == 1
    assert times(service.root / "outbox" / "x.dual.mp4") == times(long_recording)


SABOTAGE = textwrap.dedent("""
    # Breaks the CUDA context of the first worker that has finished two segments.
    import os, sys, threading, time
    from pathlib import Path

    FLAG, JOBS = Path(os.environ["SABOTAGE_FLAG"]), Path(os.environ["SABOTAGE_JOBS"])

    def poison():
        while sum(1 for _ in JOBS.glob("*/segments/*.packets.json")) < 2:
            time.sleep(0.005)
        try:
            FLAG.unlink()
        except FileNotFoundError:
            return
        import cupy
        kernel = cupy.RawKernel('extern "C" __global__ void wild(int* at) { at[0] = 1; }', "wild")
        kernel((1,), (1,), (cupy.uint64(16),))

    if "daemon.worker.main" in sys.orig_argv and FLAG.exists():
        threading.Thread(target=poison, daemon=True).start()
""")


def test_a_broken_context_ends_its_worker_and_the_job_goes_on_in_a_new_one(
    long_recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = gpu_service(tmp_path / "service", jobs=1)
    flag = tmp_path / "flag"
    flag.touch()
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(SABOTAGE)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("SABOTAGE_FLAG", str(flag))
    monkeypatch.setenv("SABOTAGE_JOBS", str(service.root / ".dualface" / "jobs"))
    with running(service):
        drop(service, long_recording, ["x"])
        report = reports(service, ["x"])["x"]
    assert not flag.exists(), "nothing was broken"
    waits = service.events("job waits")
    assert [line["code"] for line in waits] == ["DEVICE_LOST"]
    assert len(report["resilience"]["resumed_at_s"]) == 1
    assert report["status"] == "succeeded"
    assert times(service.root / "outbox" / "x.dual.mp4") == times(long_recording)


def decoded(path: Path) -> int:
    with av.open(str(path)) as source:
        return sum(1 for _ in source.decode(video=0))


def times(path: Path) -> list[int]:
    return sorted(pts for pts, _, _ in packets(path))
