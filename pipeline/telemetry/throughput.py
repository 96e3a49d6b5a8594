"""The recent throughput of a job, in frames per second."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable


class Throughput:
    """Frames per wall-clock second over a sliding window.

    Args:
        window_s: length of the window.
        least_s: shortest time from which a rate is computed, as frames come in batches.
        now: a monotonic clock in seconds.
    """

    def __init__(self, window_s: float = 10.0, least_s: float = 1.0, now: Callable[[], float] = time.monotonic) -> None:
        self._window_s = window_s
        self._least_s = least_s
        self._now = now
        self._marks: deque[tuple[float, int]] = deque()

    def update(self, frames_done: int) -> float:
        """Record the number of frames done by now; return frames per second, 0 until that is known."""
        now = self._now()
        self._marks.append((now, frames_done))
        while len(self._marks) > 2 and now - self._marks[0][0] > self._window_s:
            self._marks.popleft()
        (since, frames_then) = self._marks[0]
        return (frames_done - frames_then) / (now - since) if now - since >= self._least_s else 0.0
