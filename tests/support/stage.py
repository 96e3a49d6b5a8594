"""An executor with what a test sees of it."""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable
from typing import TypeAlias

import structlog

from daemon.executor.protocol import Executor, Outcome, Place
from daemon.worker.protocol import Note, Order
from tests.support.orders import Echo

PATIENCE_S = 60.0
Make: TypeAlias = Callable[[selectors.BaseSelector, Callable[[], float]], Executor]


class Stage:
    """An executor on a clock that the test may move, with what it has reported.

    Attributes:
        ahead_s: how far its clock is ahead.
        notes: of all workers, in the order of their arrival.
    """

    def __init__(self, make: Make) -> None:
        self.ahead_s = 0.0
        self.notes: list[tuple[str, Note]] = []
        self.ended: dict[str, Outcome] = {}
        self.selector = selectors.DefaultSelector()
        self.executor = make(self.selector, lambda: time.monotonic() + self.ahead_s)
        self.executor.on_note = lambda job, note: self.notes.append((job, note))

    def place(self, node: str | None = None) -> Place:
        """Wait for a place, on any node or on one."""

        def found() -> list[Place]:
            return [place for place in self.executor.places if node in (None, place.node)]

        self.until(found)
        return found()[0]

    def start(self, job: str, order: Order, *, node: str | None = None, **options: float) -> None:
        self.executor.start(job, order, structlog.get_logger(), place=self.place(node), **options)

    def until(self, condition: Callable[[], object]) -> None:
        """Poll until something is so, as the service does: it sleeps until a descriptor is ready."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, (self.ended, self.notes)
            self.selector.select(1.0)
            self.ended.update(self.executor.poll())

    def outcome(self, job: str) -> Outcome:
        """Wait for the end of a worker."""
        self.until(lambda: job in self.ended)
        return self.ended[job]

    def runs(self, job: str, *, node: str | None = None) -> int:
        """Start a worker that runs; return its process id."""
        self.start(job, Echo(), node=node)
        self.executor.tell(job, Note("who"))
        self.until(lambda: any(to == job for to, _ in self.notes))
        return int(next(note.body["pid"] for to, note in self.notes if to == job))

    def pass_time(self, seconds: float) -> None:
        """Let time go by in steps that are no stall of the service itself."""
        for _ in range(int(seconds)):
            self.ahead_s += 1
            self.ended.update(self.executor.poll())

    def close(self) -> None:
        self.executor.kill_all()
        self.until(lambda: not len(self.executor))
        self.executor.close()
        self.selector.close()
