"""A queue of files on places where jobs only sleep, handed out by the service's dispatcher."""

from __future__ import annotations

import random
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import structlog

from daemon.config.settings import Settings
from daemon.executor.protocol import Place
from daemon.executor.supervised import Connection, SupervisedExecutor
from daemon.jobs.class_waits import ClassWaits
from daemon.jobs.manifest import JobState, Manifest
from daemon.service.dispatcher import Dispatcher
from daemon.service.job_overview import JobOverview
from daemon.worker.protocol import CheckBackend
from tests.fakes.executor import NoProcess
from tests.support.simulated_clock import SimulatedClock

TURN_S = 0.01  # the service's loop sleeps at least so long
CLAIM_S = 0.05  # of the service for a file: several moves and writes on a share; assumed
START_S = 2.0  # from the order to the first frame: a relay and a process that loads its models; assumed


class SleepingNodes(SupervisedExecutor):
    """Nodes with one GPU and several slots each."""

    def __init__(self, clock: SimulatedClock, nodes: int, slots: int) -> None:
        super().__init__(stall_timeout_s=1e9, clock=clock.now)
        self._places = [Place(f"node{number}", None, slots) for number in range(nodes)]
        self._slots = slots

    @property
    def places(self) -> Sequence[Place]:
        return self._places

    @property
    def slots(self) -> int:
        return len(self._places) * self._slots

    def _slots_on(self, node: str) -> int:
        return self._slots

    @property
    def nodes(self) -> Sequence[Any]:
        return []

    def close(self) -> None: ...

    def _start_worker(self, job: str, place: Place | None) -> Connection:
        return NoProcess()

    def end(self, job: str) -> None:
        del self._workers[job]


class FileQueue:
    """The service, as far as it decides what starts where.

    Attributes:
        emptied_s: when the last file was claimed.
    """

    def __init__(self, clock: SimulatedClock, nodes: int, files: Sequence[float], slots: int = 4) -> None:
        self._clock = clock
        self._executor = SleepingNodes(clock, nodes, slots)
        self._files = list(files)
        self._held: dict[str, Any] = {}
        self._spans: list[tuple[float, float]] = []
        self.emptied_s = 0.0
        jobs = JobOverview(cast(Any, _Values(self._held)), self._executor)
        classes = ClassWaits(Settings(), clock.now)
        self._dispatcher = Dispatcher(jobs, self._executor, classes, start=self._start, claim=self._claim)

    def work(self) -> float:
        """Work on all files; return the seconds that it takes."""
        waits_s = TURN_S
        while self._files or self._held:
            if (ended := self._clock.next_event(waits_s)) is not None:
                self._executor.end(ended)
                del self._held[ended]
            self._dispatcher.start_jobs(may_start=True)
            full = len(self._held) >= self._executor.slots or not self._files
            waits_s = 1.0 if full else TURN_S
        return self._clock.now()

    def busy(self) -> float:
        """Return the share of the slots' time, as long as files waited, in which they worked on frames."""
        worked_s = sum(max(0.0, min(end, self.emptied_s) - begin) for begin, end in self._spans)
        return worked_s / (self.emptied_s * self._executor.slots)

    def _claim(self) -> bool:
        if not self._files:
            return False
        self._clock.sleep(CLAIM_S)
        name = f"{len(self._files)}"
        manifest = Manifest(name, "inbox", name, "balanced", state=JobState.QUEUED)
        job = SimpleNamespace(id=name, manifest=manifest, seconds=self._files.pop())
        self.emptied_s = self._clock.now()
        self._held[name] = SimpleNamespace(job=job, due=True, code="", lacks_space=False, show=lambda _: None)
        return True

    def _start(self, held: Any, place: Place) -> None:
        self._executor.start(
            held.job.id, CheckBackend(Settings().device, Settings().workers.limits), structlog.get_logger(), place=place
        )
        begin = self._clock.now() + START_S
        self._spans.append((begin, begin + held.job.seconds))
        self._clock.add(START_S + held.job.seconds, held.job.id)


class _Values:
    def __init__(self, held: dict[str, Any]) -> None:
        self._held = held

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Any:
        return iter(list(self._held.values()))


def lengths_s(files: int, mean_s: float) -> list[float]:
    """Return how long the work on files takes, from a third of the mean to five thirds of it."""
    chance = random.Random(0)
    return [mean_s * chance.uniform(1 / 3, 5 / 3) for _ in range(files)]
