"""Monotonic and wall-clock time: a clock that tests replace, periodic work, and timestamps."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], float]  # returns monotonic seconds


def utc_now() -> str:
    """Return the wall-clock time in UTC, to the second, as an ISO 8601 text."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class Every:
    """Work that is due once in ``period_s`` seconds, and for the first time at once.

    Args:
        period_s: seconds from one time to the next.
        clock: monotonic, so that jumps of the wall clock do not matter.
    """

    def __init__(self, period_s: float, clock: Clock = time.monotonic) -> None:
        self.period_s = period_s
        self._clock = clock
        self._due = float("-inf")

    def due(self) -> bool:
        """Whether the period has passed; if so, the next one begins now."""
        now = self._clock()
        if now < self._due:
            return False
        self._due = now + self.period_s
        return True

    def postpone(self, wait_s: float) -> None:
        """Let the work be due for the next time ``wait_s`` seconds from now."""
        self._due = self._clock() + wait_s
