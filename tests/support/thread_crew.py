"""Part workers in threads of the test's own process."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence

from pipeline.job import JobSpec
from pipeline.splitting.orders import Answer, Order, WorkerLeft
from pipeline.splitting.serve import serve


class ThreadCrew:
    """A crew of ``count`` workers. One that has left is not replaced."""

    def __init__(self, spec: JobSpec, count: int) -> None:
        self.given: list[tuple[str, Order]] = []
        self._answers: queue.Queue[tuple[str, Answer]] = queue.Queue()
        self._orders: dict[str, queue.Queue[Order | None]] = {f"worker {n}": queue.Queue() for n in range(count)}
        self._threads = [threading.Thread(target=self._serve, args=(spec, name)) for name in self._orders]
        for thread in self._threads:
            thread.start()

    def workers(self) -> Sequence[str]:
        return list(self._orders)

    def give(self, worker: str, order: Order) -> None:
        self.given.append((worker, order))
        self._orders[worker].put(order)

    def answer(self, timeout_s: float) -> tuple[str, Answer] | None:
        try:
            worker, answer = self._answers.get(timeout=timeout_s) if timeout_s else self._answers.get_nowait()
        except queue.Empty:
            return None
        if isinstance(answer, WorkerLeft):
            self._orders.pop(worker, None)
        return worker, answer

    def dismiss(self) -> None:
        for orders in self._orders.values():
            orders.put(None)
        for thread in self._threads:
            thread.join()

    def lose(self, worker: str) -> None:
        """Let a worker end; it is no longer at hand."""
        if (orders := self._orders.pop(worker, None)) is not None:
            orders.put(None)

    def _serve(self, spec: JobSpec, name: str) -> None:
        serve(spec, self._received(self._orders[name]), lambda answer: self._answers.put((name, answer)))

    def _received(self, orders: queue.Queue[Order | None]) -> Iterator[Order]:
        while (order := orders.get()) is not None:
            yield order
