"""Part workers in processes of their own, without a service."""

from __future__ import annotations

import multiprocessing
import queue
from collections.abc import Callable, Sequence
from typing import Any

from pipeline.job import JobSpec
from pipeline.splitting.orders import Answer, Order
from pipeline.splitting.serve import serve


class ProcessCrew:
    """A crew of ``count`` workers; they stay at hand when they are dismissed, and end with this process.

    Args:
        prepare: called in each worker first.
    """

    def __init__(self, spec: JobSpec, count: int, prepare: Callable[[], None] | None = None) -> None:
        context = multiprocessing.get_context("spawn")
        self._answers: Any = context.Queue()
        self._orders: dict[str, Any] = {f"worker {n}": context.Queue() for n in range(count)}
        ready = context.Barrier(count + 1)
        for name, orders in self._orders.items():
            arguments = (spec, name, orders, self._answers, ready, prepare)
            context.Process(target=_work, args=arguments, daemon=True).start()
        ready.wait(300)

    def workers(self) -> Sequence[str]:
        return list(self._orders)

    def give(self, worker: str, order: Order) -> None:
        self._orders[worker].put(order)

    def answer(self, timeout_s: float) -> tuple[str, Answer] | None:
        try:
            answered: tuple[str, Answer] = (
                self._answers.get(timeout=timeout_s) if timeout_s else self._answers.get_nowait()
            )
        except queue.Empty:
            return None
        return answered

    def dismiss(self) -> None:
        for orders in self._orders.values():
            orders.put(None)


def _work(spec: JobSpec, name: str, orders: Any, answers: Any, ready: Any, prepare: Callable[[], None] | None) -> None:
    if prepare is not None:
        prepare()
    ready.wait(300)
    serve(spec, iter(orders.get, None), lambda answer: answers.put((name, answer)))
