"""Limits of a worker: whatever goes beyond one ends in failed, with the limit's name, and the service goes on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.support.recordings import write_recording
from tests.support.service import Service

_LIMITS = {
    "cpu_s": 4,
    "wall_s": 0.5,
    "address_space_bytes": 900 * 2**20,
}  # the check at the start takes 0.6 s of CPU and 660 MiB, the job 14 s and 1650 MiB


@pytest.fixture(scope="module")
def large_recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """So large that no machine does it within the limits."""
    return write_recording(tmp_path_factory.mktemp("large") / "x.mp4", seconds=6, fps=30, size=(1920, 1080))


@pytest.mark.parametrize("name", _LIMITS)
def test_a_limit_is_explained(make_service: Callable[..., Service], large_recording: Path, name: str) -> None:
    service = make_service(
        workers={"limits": {name: _LIMITS[name]}}, device={"backend": "cpu"}, profiles={"default": {"preset": "slower"}}
    )
    shutil.copy(large_recording, service.inbox("x.mp4"))
    service.start()
    service.wait_for(lambda: service.exists("failed/x.report.json"), "the report")
    error = service.report("failed/x.report.json")["error"]
    assert error["code"] == "RESOURCE_LIMIT"
    assert f"workers.limits.{name}" in error["message"]
    assert (service.root / "failed/x.mp4").read_bytes() == large_recording.read_bytes()
    assert len(service.events("job started")) == 1, "trying again would not help"


def test_a_file_that_grows_too_large_is_explained(make_service: Callable[..., Service], recording: Path) -> None:
    service = make_service(
        workers={"limits": {"file_bytes": 2**20}}, profiles={"default": {"preset": "ultrafast", "crf": 1}}
    )
    shutil.copy(recording, service.inbox("x.mp4"))
    service.start()
    service.wait_for(lambda: service.exists("failed/x.report.json"), "the report")
    assert "workers.limits.file_bytes" in service.report("failed/x.report.json")["error"]["message"]


def test_workers_are_confined(service: Service, recording: Path) -> None:
    shutil.copy(recording, service.inbox("x.mp4"))
    service.start()
    service.wait_for(lambda: service.events("job started"), "a running job")
    worker = service.workers()[0]
    service.wait_for(lambda: worker.rlimit(psutil.RLIMIT_NOFILE) == (1024, 1024), "the last limit")
    assert worker.rlimit(psutil.RLIMIT_CORE) == (0, 0)
    assert worker.rlimit(psutil.RLIMIT_FSIZE)[0] == 256 * 2**30
    if os.geteuid() == 0:
        assert Path(f"/proc/{worker.pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()
        assert Path(f"/proc/{worker.pid}/net/dev").read_text().count(":") == 1, "the loopback interface only"
