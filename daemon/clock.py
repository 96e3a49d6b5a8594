"""The clock that tests replace, and periodic work."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], float]  # returns monotonic seconds


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
