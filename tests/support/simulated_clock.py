"""A clock for simulations: what is simulated takes no time, what is real takes the CPU time that it needs here."""

from __future__ import annotations

import heapq
import time
from itertools import count
from typing import Any


class SimulatedClock:
    """Events in order of time; between them, the CPU time of this thread passes as well.

    Attributes:
        cpu_s: CPU time of this thread that has passed.
    """

    def __init__(self, *, counts_cpu: bool = True) -> None:
        self.cpu_s = 0.0
        self._counts_cpu = counts_cpu
        self._now_s = 0.0
        self._last_cpu_s = time.thread_time()
        self._events: list[tuple[float, int, Any]] = []
        self._numbers = count()  # events of the same time come in the order in which they were added

    def now(self) -> float:
        """Return the simulated time in seconds."""
        cpu_s = time.thread_time()
        if self._counts_cpu:
            self._now_s += cpu_s - self._last_cpu_s
            self.cpu_s += cpu_s - self._last_cpu_s
        self._last_cpu_s = cpu_s
        return self._now_s

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now()
        self._now_s += seconds

    def add(self, after_s: float, event: Any) -> None:
        """Let an event happen later."""
        heapq.heappush(self._events, (self.now() + after_s, next(self._numbers), event))

    def next_event(self, timeout_s: float) -> Any | None:
        """Wait for the next event; return it, or None after ``timeout_s``."""
        now = self.now()
        if self._events and self._events[0][0] <= now + timeout_s:
            at_s, _, event = heapq.heappop(self._events)
            self._now_s = max(now, at_s)
            return event
        self._now_s = now + timeout_s
        return None
