"""The gauges of the GPUs, as the real service shows them while its workers use one."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.gpu.running import MIB, drop, gpu_service, running
from tests.support.gpu_presence import needs_gpu
from tests.support.recordings import write_recording
from tests.support.scrape import Scrape, free_port

pytestmark = [pytest.mark.gpu, needs_gpu, pytest.mark.timeout(180)]


def test_the_gauges_of_the_gpu_follow_the_work(tmp_path: Path) -> None:
    recording = write_recording(tmp_path / "x.mp4", seconds=30)
    port = free_port()
    service = gpu_service(tmp_path / "service", metrics={"http": True, "port": port})
    seen: dict[str, float] = {}
    with running(service):
        service.wait_for(lambda: Scrape(port).has("dualface_vram_used_bytes"), "the first reading")
        drop(service, recording, ["a", "b"])
        while not (service.exists("originals/a.mp4") and service.exists("originals/b.mp4")):
            scrape = Scrape(port)
            for name in ("gpu_utilization_percent", "vram_used_bytes", "nvdec_utilization_percent"):
                seen[name] = max(seen.get(name, 0.0), scrape(f"dualface_{name}"))
            time.sleep(0.5)
        assert Scrape(port)("dualface_frame_latency_seconds_count") == Scrape(port)("dualface_frames_total") > 0
    print(seen)  # noqa: T201
    assert seen["gpu_utilization_percent"] > 0
    assert seen["nvdec_utilization_percent"] > 0
    assert seen["vram_used_bytes"] > 500 * MIB
