"""The limits of time that executors watch: which stalls count."""

from __future__ import annotations

import os
import selectors
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from daemon.config.settings import Settings, WorkerLimits
from daemon.executor.local import LocalExecutor
from daemon.executor.protocol import Outcome, Stalled
from daemon.worker.protocol import RunJob, encode
from daemon.worker.spawn import WorkerProcess
from pipeline.job import JobSpec, Progress

STALL_S = 300


class Bench:
    """An executor with one worker whose messages the test sends, on a clock that the test moves."""

    def __init__(self, selector: selectors.BaseSelector, folder: Path) -> None:
        self.now = 0.0
        reading, self._writing = os.pipe()
        self.process = subprocess.Popen(
            ["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        spare = WorkerProcess(self.process, reading)
        settings = Settings.model_validate({"workers": {"stall_timeout_s": STALL_S}})
        self.executor = LocalExecutor(selector, settings, clock=lambda: self.now, spare=spare)
        spec = JobSpec("j", folder / "x.mp4", "x.mp4", folder)
        self.executor.start(
            "j", RunJob(spec, 0, "info", WorkerLimits()), structlog.stdlib.get_logger(), longest_s=10_000
        )

    def send(self, progress: Progress) -> None:
        os.write(self._writing, encode(progress))

    def look(self, *, after_s: float, times: int = 1) -> list[tuple[str, Outcome]]:
        """Return the workers that have ended after some polls."""
        ended = []
        for _ in range(times):
            self.now += after_s
            ended += list(self.executor.poll())
        return ended

    def close(self) -> None:
        os.close(self._writing)
        self.process.kill()
        self.process.wait()
        list(self.executor.poll())


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with selectors.DefaultSelector() as selector:
        made = Bench(selector, tmp_path)
        yield made
        made.close()


def test_a_stalled_worker_is_killed(bench: Bench) -> None:
    assert bench.look(after_s=1, times=STALL_S + 1) == []
    bench.process.wait(10)
    assert bench.look(after_s=1) == [("j", Stalled(STALL_S))]


def test_a_stall_of_the_service_does_not_count_for_the_worker(bench: Bench) -> None:
    """Both may wait for the same share."""
    bench.look(after_s=1, times=10)
    assert bench.look(after_s=10 * STALL_S) == []
    assert bench.look(after_s=1, times=STALL_S - 20) == []
    assert bench.process.poll() is None


@pytest.mark.parametrize("stage", ["wait", "space"])
def test_a_worker_that_reports_waiting_is_alive(bench: Bench, stage: str) -> None:
    for _ in range(4):
        bench.send(Progress(stage, lacks="33 MiB free"))
        assert bench.look(after_s=1, times=STALL_S - 1) == []
    assert bench.process.poll() is None
