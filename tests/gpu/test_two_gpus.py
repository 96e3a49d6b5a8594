"""The real service with two GPUs: jobs are spread over both, and a stopped job goes on on either."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.gpu.running import Watch, drop, gpu_service, reports, running
from tests.support.gpu_presence import count_gpus, needs_gpu
from tests.support.recordings import still, walk, write_recording
from tests.support.service import Service, outputs

pytestmark = [
    pytest.mark.gpu,
    needs_gpu,
    pytest.mark.skipif(count_gpus() < 2, reason="there is no NVIDIA GPU beside the first"),
    pytest.mark.timeout(240),
]

NAMES = ["one", "two", "three", "four"]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    people = walk(0.25, 0.75, 8), still(0.6)
    return write_recording(tmp_path_factory.mktemp("source") / "x.mp4", seconds=10, people=people)


def gpus_at_work(service: Service) -> list[str]:
    """The GPU of each job that runs now, as the status page has it."""
    return [job["device"] for job in service.status()["running"]]


def used_gpus(found: dict[str, dict[str, Any]]) -> set[str]:
    return {report["backends"]["device"].split(" ")[0] for report in found.values()}


@pytest.mark.parametrize("index", ["auto", [1, 0]])
def test_four_jobs_use_both_gpus(index: Any, recording: Path, tmp_path: Path) -> None:
    service = gpu_service(tmp_path / "service", jobs=4, device={"index": index})
    with running(service), Watch(lambda: gpus_at_work(service)) as watch:
        drop(service, recording, NAMES)
        found = reports(service, NAMES)
    assert used_gpus(found) == {"cuda:0", "cuda:1"}
    for name, report in found.items():
        assert (report["status"], report["backends"]["cpu_fallback"]) == ("succeeded", False)
        assert report["backends"]["decoder"] == "nvdec"
        assert outputs(name) <= service.files("outbox")
    assert {device for seen in watch.seen for device in seen} == {"cuda:0", "cuda:1"}
    assert max(Counter(seen).most_common(1)[0][1] for seen in watch.seen) <= 2


def test_a_job_of_one_gpu_goes_on_on_the_other(recording: Path, tmp_path: Path) -> None:
    """The configuration changes while the service is stopped in the middle of a job."""
    service = gpu_service(tmp_path / "service", jobs=1, device={"index": 0})
    try:
        service.start()
        drop(service, recording, ["x"])
        service.wait_for(lambda: list(service.root.glob(".dualface/jobs/*/checkpoint.json")), "a checkpoint")
        assert service.stop() == 0
        settings = yaml.safe_load(service.config.read_text())
        service.config.write_text(yaml.safe_dump({**settings, "device": {"backend": "cuda", "index": 1}}))
        service.start()
        report = reports(service, ["x"])["x"]
        assert service.stop() == 0
    finally:
        service.close()
    assert report["backends"]["device"].startswith("cuda:1 (")
    assert len(report["resilience"]["resumed_at_s"]) == 1
    assert report["status"] == "succeeded"
