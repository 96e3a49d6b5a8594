"""How long to wait after a failure: a number, as nothing in the service sleeps; a job carries the end of its wait."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Protocol

from daemon.clock import Clock

SOON_S = 30.0  # the longest wait after a failure of the storage: work goes on within a minute of its end


class RetryTimes(Protocol):
    """The settings of a back-off (``retry`` in the configuration), in seconds."""

    @property
    def first_s(self) -> float: ...

    @property
    def longest_s(self) -> float: ...


@dataclass(slots=True)
class Backoff:
    """Exponential back-off with jitter: each failure in a row doubles the wait, up to the longest.

    The wait is drawn from the upper half of its range ("equal jitter", M. Brooker, AWS Architecture Blog, 2015),
    so that many jobs that failed together do not come back together.
    """

    settings: RetryTimes
    clock: Clock
    failures: int = 0
    not_before: float = 0.0

    def fail(self, longest_s: float = math.inf) -> float:
        """Record a failure and return the wait in seconds, at most ``longest_s``."""
        ceiling = min(longest_s, self.settings.longest_s, self.settings.first_s * 2.0 ** min(self.failures, 60))
        self.failures += 1
        wait_s = ceiling * random.uniform(0.5, 1.0)
        self.not_before = self.clock() + wait_s
        return wait_s

    def succeed(self) -> None:
        """Record a success: the next failure is the first one again."""
        self.failures = 0
        self.not_before = 0.0

    @property
    def due(self) -> bool:
        """Whether the wait is over."""
        return self.clock() >= self.not_before

    @property
    def wait_s(self) -> float:
        """Seconds that are left of the wait."""
        return max(0.0, self.not_before - self.clock())
