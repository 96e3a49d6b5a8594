"""The real service on a real GPU: recordings for it, and what is seen of its workers while it runs."""

from __future__ import annotations

import gzip
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from engines.nvml import GPUWatch
from tests.support.recordings import packets
from tests.support.service import Service

MIB = 2**20
_SAMPLE_S = 0.1


def gpu_service(folder: Path, *, jobs: int = 2, **sections: dict[str, Any]) -> Service:
    """A service that must use a GPU, not yet started."""
    folder.mkdir(exist_ok=True)
    device = {"backend": "cuda", **sections.pop("device", {})}
    workers = {"concurrent_jobs": jobs, **sections.pop("workers", {})}
    return Service(folder, device=device, workers=workers, **sections)


@contextmanager
def running(service: Service) -> Iterator[Service]:
    """Start it; in the end it must stop by itself and have logged no error."""
    try:
        service.start()
        yield service
        assert service.stop() == 0
        errors = [line for line in service.journal() if line["level"] in ("error", "critical")]
        assert errors == []
    finally:
        service.close()


def drop(service: Service, source: Path, names: list[str]) -> None:
    for name in names:
        shutil.copy(source, service.inbox(f"{name}.mp4"))


def reports(service: Service, names: list[str], timeout_s: float = 120) -> dict[str, dict[str, Any]]:
    """The reports of these files, once all are there."""
    service.wait_for(lambda: all(service.exists(f"outbox/{name}.dual.report.json") for name in names), "the reports",
                     timeout_s)  # fmt: skip
    return {name: service.report(f"outbox/{name}.dual.report.json") for name in names}


def used_bytes(index: int = 0) -> int:
    """The GPU's memory that is in use, by whomever."""
    return int(GPUWatch().read()[index].vram_used_bytes or 0)


def total_bytes(index: int = 0) -> int:
    return int(GPUWatch().read()[index].vram_total_bytes or 0)


class Watch:
    """Looks at something many times while a block runs, in a thread of its own."""

    def __init__(self, look: Callable[[], Any]) -> None:
        self._look = look
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.seen: list[Any] = []

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.is_set():
            try:
                found = self._look()
            except (psutil.Error, OSError):  # a worker has ended meanwhile
                found = None
            if found:
                self.seen.append(found)
            time.sleep(_SAMPLE_S)


def rows(result):
    return [json.loads(line) for line in gzip.decompress(result.files.tracks.read_bytes()).splitlines()]


def report(result):
    return json.loads(result.files.report.read_bytes())


def times(path):
    return sorted(pts for pts, _, _ in packets(path))
