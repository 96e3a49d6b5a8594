"""The pace of a job, for people who wait: frames per second, lately."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable


class Pace:
    """Frames per wall-clock second over a sliding window.

    Args:
        window_s: how far back "lately" reaches.
        least_s: a shorter time says nothing, as frames come in batches.
        now: a monotonic clock in seconds.
    """

    def __init__(self, window_s: float = 10.0, least_s: float = 1.0, now: Callable[[], float] = time.monotonic) -> None:
        self._window_s = window_s
        self._least_s = least_s
        self._now = now
        self._marks: deque[tuple[float, int]] = deque()

    def mark(self, frames_done: int) -> float:
        """Note how many frames are done by now; return the pace in frames per second, 0 until it is known."""
        now = self._now()
        self._marks.append((now, frames_done))
        while len(self._marks) > 2 and now - self._marks[0][0] > self._window_s:
            self._marks.popleft()
        (since, frames_then) = self._marks[0]
        return (frames_done - frames_then) / (now - since) if now - since >= self._least_s else 0.0
