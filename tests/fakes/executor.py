"""An executor without processes: orders are recorded, and tests decide on progress and ends."""

from __future__ import annotations

import math
import selectors
import time
from collections.abc import Iterator, Sequence

import structlog

from daemon.config.settings import Settings
from daemon.executor.local import LocalExecutor
from daemon.executor.protocol import Died, Outcome, Place
from daemon.executor.supervised import Connection
from daemon.worker.protocol import GPU, Note, Order
from pipeline.job import Progress


class NoProcess:
    """A connection to nothing."""

    def send(self, data: bytes) -> None: ...

    def messages(self) -> Iterator[bytes]:
        return iter(())

    printed = messages

    def ended(self) -> Died | None:
        return None

    def kill(self) -> None: ...

    def close(self) -> None: ...


class ExecutorWithoutProcesses(LocalExecutor):
    """Workers run until a test ends them.

    Attributes:
        orders: of all workers that were started, by job.
        ends: what the next ``poll`` reports.
        told: the notes that workers were sent.
        refuses: whether no process can be started.
    """

    def __init__(self, settings: Settings | None = None, gpus: Sequence[GPU] = ()) -> None:
        super().__init__(selectors.DefaultSelector(), settings or Settings(), clock=time.monotonic)
        self.use_gpus(gpus)
        self.orders: dict[str, Order] = {}
        self.states: dict[str, Progress] = {}
        self.ends: dict[str, Outcome] = {}
        self.told: list[tuple[str, Note]] = []
        self.killed: list[str] = []
        self.refuses = False

    def _start_worker(self, job: str, place: Place | None) -> Connection:
        if self.refuses:
            raise OSError("no process can be started")
        return NoProcess()

    def progress(self, job: str) -> Progress | None:
        return self.states.get(job)

    def start(
        self,
        job: str,
        order: Order,
        worker_log: structlog.stdlib.BoundLogger,
        *,
        place: Place | None = None,
        takes_slot: bool = True,
        longest_s: float = math.inf,
    ) -> None:
        super().start(job, order, worker_log, place=place, takes_slot=takes_slot, longest_s=longest_s)
        self.orders[job] = order

    def tell(self, job: str, note: Note) -> None:
        self.told.append((job, note))

    def kill(self, job: str) -> None:
        self.killed.append(job)

    def end(self, job: str) -> None:
        """Let a worker end, without an outcome that ``poll`` reports."""
        del self._workers[job]
        self.states.pop(job, None)

    def poll(self) -> Iterator[tuple[str, Outcome]]:
        for job, outcome in list(self.ends.items()):
            del self.ends[job]
            self.end(job)
            yield job, outcome
