"""A pool of workers without processes: orders are recorded, and tests decide on progress and ends."""

from __future__ import annotations

import math
import selectors
import time
from collections.abc import Iterator

import structlog

from daemon.worker.pool import Outcome, WorkerPool
from daemon.worker.protocol import Order
from pipeline.job import Progress


class PoolWithoutProcesses(WorkerPool):
    """Workers run until a test ends them.

    Attributes:
        orders: of the running workers, by job.
        ends: what the next ``poll`` reports.
        refuses: whether no process can be started.
    """

    def __init__(self) -> None:
        super().__init__(selectors.DefaultSelector(), stall_timeout_s=60, clock=time.monotonic)
        self.orders: dict[str, Order] = {}
        self.states: dict[str, Progress] = {}
        self.ends: dict[str, Outcome] = {}
        self.killed: list[str] = []
        self.refuses = False

    def __len__(self) -> int:
        return len(self.orders)

    def __contains__(self, job: str) -> bool:
        return job in self.orders

    def progress(self, job: str) -> Progress | None:
        return self.states.get(job)

    def start(
        self, job: str, order: Order, worker_log: structlog.stdlib.BoundLogger, *, longest_s: float = math.inf
    ) -> None:
        del worker_log, longest_s
        if self.refuses:
            raise OSError("no process can be started")
        self.orders[job] = order

    def kill(self, job: str) -> None:
        self.killed.append(job)

    def end(self, job: str) -> None:
        """Let a worker end, without an outcome that ``poll`` reports."""
        self.orders.pop(job)
        self.states.pop(job, None)

    def poll(self) -> Iterator[tuple[str, Outcome]]:
        for job, outcome in list(self.ends.items()):
            del self.ends[job]
            self.end(job)
            yield job, outcome
