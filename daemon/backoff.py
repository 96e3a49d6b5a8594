"""How long to wait after trouble.

A number, not a loop: nothing in the service sleeps, a job merely carries the time before which it is left be.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from daemon.clock import Clock
from daemon.config.settings import RetrySettings

SOON_S = 30.0  # the longest wait after trouble of the storage: work goes on within a minute of its end


@dataclass(slots=True)
class Backoff:
    """Exponential back-off with jitter: each failure in a row doubles the wait, up to the longest.

    The wait is drawn from the upper half of its range ("equal jitter", M. Brooker, AWS Architecture Blog, 2015),
    so that many jobs that failed together do not come back together.
    """

    settings: RetrySettings
    clock: Clock
    failures: int = 0
    not_before: float = 0.0

    def fail(self, longest_s: float = math.inf) -> float:
        """Record a failure; returns the wait in seconds, at most ``longest_s``."""
        ceiling = min(longest_s, self.settings.longest_s, self.settings.first_s * 2.0 ** min(self.failures, 60))
        self.failures += 1
        wait_s = ceiling * random.uniform(0.5, 1.0)
        self.not_before = self.clock() + wait_s
        return wait_s

    def succeed(self) -> None:
        self.failures = 0
        self.not_before = 0.0

    @property
    def due(self) -> bool:
        return self.clock() >= self.not_before

    @property
    def wait_s(self) -> float:
        """What is left of the wait."""
        return max(0.0, self.not_before - self.clock())
