"""Fixtures of the service tests: a recording, an undisturbed run of it, and services that are always cleared away."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.recordings import packets, write_recording
from tests.support.service import Service

DOOR = Path(__file__).parents[1] / "fakes" / "door"


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds, six segments."""
    path = tmp_path_factory.mktemp("media") / "recording.mp4"
    return write_recording(path, seconds=6, fps=15, size=(480, 270))


@pytest.fixture(scope="session")
def calm_outbox(recording: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run without any accident delivers."""
    service = Service(tmp_path_factory.mktemp("undisturbed"))
    shutil.copy(recording, service.inbox("x.mp4"))
    service.start()
    service.wait_for(lambda: service.exists("outbox/x.dual.report.json"), "the undisturbed run")
    assert service.stop() == 0
    assert service.report("outbox/x.dual.report.json")["resilience"]["resumed_at_s"] == []
    return service.root / "outbox"


@pytest.fixture(scope="session")
def undisturbed(calm_outbox: Path) -> list[tuple[int, int, bytes]]:
    """The video packets that a run without any accident delivers."""
    return packets(calm_outbox / "x.dual.mp4")


@pytest.fixture
def make_service(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Makes services; each is cleared away, and none may have logged an error that its test does not expect."""
    made: list[Service] = []

    def make(*, name: str = "service", root: Path | None = None, **sections: Any) -> Service:
        folder = tmp_path / name
        folder.mkdir()
        made.append(Service(folder, root=root, **sections))
        return made[-1]

    yield make
    for service in made:
        service.close()
    errors = [line for service in made for line in service.journal() if line["level"] in ("error", "critical")]
    assert [line for line in errors if line["event"] != "service cannot run"] == []


@pytest.fixture
def service(make_service: Callable[..., Service]) -> Service:
    return make_service()


@pytest.fixture
def small_disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A share on a file system of 24 MiB, or of the size that is the test's parameter; only root can mount one."""
    folder = tmp_path / "service" / "share"
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={getattr(request, 'param', '24m')}", "tmpfs", folder]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a file system needs root")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.fixture
def trouble(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Plans trouble for the first job of the next service."""

    def plan(**calls: list[int]) -> None:
        paths = [str(DOOR), str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
        monkeypatch.setenv("TROUBLE", str(tmp_path / "trouble"))
        (tmp_path / "trouble").write_text(json.dumps(calls))

    return plan
