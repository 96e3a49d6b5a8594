"""One soak: the real service, fed and disturbed until enough files have come to their end, then looked over."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.soak.disturbances import PATIENCE_S, Disk, Disturbances
from tests.soak.ledger import Ledger, temporary_files
from tests.soak.recordings import Drop, Supply
from tests.support.service import Service

_SECTIONS = {
    "segments": {"seconds": 2},
    "retention": {"state_days": 0},
    "profiles": {"default": {"preset": "ultrafast", "crf": 40, "threads": 1}},
}
_DISK_MIB, _MOST_DISK_MIB = 64, 4096  # a result takes well under one
_BACKLOG = 8  # files that wait or are worked on
_LAST = 3  # files that are worked on in peace, so that the soak comes to an end
_LOOK_S = 0.1


@dataclass(frozen=True, slots=True)
class Sample:
    """How the service stands at one moment. ``life`` counts its starts; memory is that of its main process."""

    at_s: float
    life: int
    dropped: int
    ended: int
    memory_mib: float
    descriptors: int
    threads: int
    workers: int
    worker_mib: float
    temporary_files: int


@dataclass(frozen=True, slots=True)
class Result:
    """What a soak has shown; ``faults`` is empty where nothing was lost, doubled or left behind."""

    samples: list[Sample]
    outcomes: dict[str, int]
    disturbances: dict[str, int]
    faults: list[str]


class Soak:
    """Runs one soak.

    Args:
        jobs: how many files are dropped, if ``hours`` does not end it before.
        on_sample: called every ``sample_s``.
        every_s: mean time between two disturbances.
        stall_s: after that time a worker counts as hung.
        slots: jobs side by side.
    """

    def __init__(
        self,
        folder: Path,
        *,
        seed: int,
        jobs: int,
        hours: float,
        on_sample: Callable[[Sample], None],
        every_s: float = 12,
        sample_s: float = 10,
        stall_s: float = 60,
        slots: int = 1,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._disk = Disk(folder / "share", f"{_DISK_MIB + min(jobs, _MOST_DISK_MIB)}m")
        workers = {"stall_timeout_s": stall_s, "start_timeout_s": 600, "nice": 0, "concurrent_jobs": slots}
        self._service = Service(folder, root=folder / "share", workers=workers, **_SECTIONS)
        self._disturbances = Disturbances(self._service, self._disk, seed, every_s=every_s)
        self._supply = Supply(folder / "media", seed)
        self._ledger = Ledger(self._service.root)
        self._jobs, self._end_at = jobs, time.monotonic() + hours * 3600
        self._on_sample, self._sample_s = on_sample, sample_s
        self._begun = self._sample_at = time.monotonic()
        self._samples: list[Sample] = []
        self._pids: list[int] = []
        self._kept_back: Drop | None = None

    def run(self) -> Result:
        """Feed and disturb, drain, look it over."""
        try:
            self._service.start(timeout_s=PATIENCE_S)
            while (ended := self._ledger.ended()) < self._jobs - _LAST and time.monotonic() < self._end_at:
                self._disturbances.advance(ended)
                if self._disturbances.storage_is_well and len(self._ledger.dropped) < self._jobs:
                    self._feed(ended)
                self._tick()
            self._disturbances.calm()
            self._drain()
            if self._service.stop(timeout_s=PATIENCE_S) != 0:
                raise RuntimeError(f"the service did not stop in order: {self._service.tail()}")
            return Result(
                self._samples,
                dict(self._ledger.outcomes()),
                dict(self._disturbances.counts),
                [*self._ledger.faults(kills=self._disturbances.worker_kills), *self._errors_logged()],
            )
        finally:
            self._disturbances.calm()
            self._service.close()
            self._disk.close()

    def _tick(self) -> None:
        assert self._service.process is not None
        if self._service.process.poll() is not None:
            raise RuntimeError(f"the service ended by itself: {self._service.tail()}")
        if time.monotonic() >= self._sample_at:
            self._sample()
        time.sleep(_LOOK_S)

    def _feed(self, ended: int) -> None:
        """Keep some files waiting; none takes the place of another that nobody has taken yet."""
        if len(self._ledger.dropped) - ended >= _BACKLOG:
            return
        drop = self._kept_back or self._supply.next()
        path = self._service.root / "inbox" / drop.relative
        self._kept_back = drop if os.path.lexists(path) else None
        if self._kept_back is None:
            self._put(path, drop)

    def _put(self, path: Path, drop: Drop) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{len(self._ledger.dropped)}.part")
        part.write_bytes(drop.content)
        if drop.sidecar is not None:
            path.with_suffix(".dualface.yaml").write_bytes(drop.sidecar)
        self._ledger.note(drop)
        part.rename(path)

    def _drain(self) -> None:
        """Wait until every file has come to its end."""
        deadline = time.monotonic() + PATIENCE_S * 4
        while self._ledger.ended() < len(self._ledger.dropped) or self._service.jobs():
            self._tick()
            if time.monotonic() > deadline:
                return  # the books will tell which ones have not
        self._sample()

    def _sample(self) -> None:
        assert self._service.process is not None
        process = psutil.Process(self._service.process.pid)
        if process.pid not in self._pids:
            self._pids.append(process.pid)
        workers = [_memory_mib(worker) for worker in process.children()]
        sample = Sample(
            at_s=round(time.monotonic() - self._begun, 1),
            life=len(self._pids),
            dropped=len(self._ledger.dropped),
            ended=self._ledger.ended(),
            memory_mib=_memory_mib(process),
            descriptors=process.num_fds(),
            threads=process.num_threads(),
            workers=len(workers),
            worker_mib=max(workers, default=0.0),
            temporary_files=temporary_files(self._service.root),
        )
        self._samples.append(sample)
        self._sample_at = time.monotonic() + self._sample_s
        self._on_sample(sample)

    def _errors_logged(self) -> list[str]:
        """Lines that the service itself considers faults of the program."""
        return [f"logged: {line}" for line in self._service.journal() if line["level"] in ("error", "critical")]


def _memory_mib(process: psutil.Process) -> float:
    try:
        return float(round(process.memory_info().rss / 2**20, 1))
    except psutil.Error:
        return 0.0
