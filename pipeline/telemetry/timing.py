"""Time per frame of each stage: totals and percentiles in constant memory, which a resumed job continues."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pipeline.telemetry.counters import STAGES, StatsCollector

_STEP = math.log(1.05)  # buckets grow by 5 %, so a percentile is right within 5 %
_SMALLEST_S = 1e-6


class StageTimer:
    """A log-bucketed histogram of seconds per frame."""

    def __init__(self) -> None:
        self.total_s = 0.0
        self._buckets: dict[int, int] = {}

    def add(self, seconds: float, frames: int = 1) -> None:
        self.total_s += seconds
        if frames < 1:
            return
        bucket = math.floor(math.log(max(seconds / frames, _SMALLEST_S) / _SMALLEST_S) / _STEP)
        self._buckets[bucket] = self._buckets.get(bucket, 0) + frames

    def percentile_ms(self, percent: float) -> float:
        """Return the time that ``percent`` of all frames stayed under, in ms; 0 if there are none."""
        wanted = sum(self._buckets.values()) * percent / 100
        seen = 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= wanted:
                return 1000 * _SMALLEST_S * math.exp((bucket + 0.5) * _STEP)
        return 0.0

    def state(self) -> dict[str, Any]:
        return {"total_s": self.total_s, "buckets": sorted(self._buckets.items())}

    def restore(self, state: dict[str, Any]) -> None:
        self.total_s = float(state["total_s"])
        self._buckets = {int(k): int(n) for k, n in state["buckets"]}


class JobTelemetry:
    """Timers and statistics of all stages of one job. Each stage is measured by one thread.

    Attributes:
        timers: of all attempts on the job, by stage.
        stats_collector: of this attempt alone.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Forget everything: the job starts over."""
        self.timers = {stage: StageTimer() for stage in STAGES}
        self.stats_collector = StatsCollector()

    @contextmanager
    def measure(self, stage: str, frames: int = 1) -> Iterator[None]:
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.add(stage, time.perf_counter() - begin, frames)

    def add(self, stage: str, seconds: float, frames: int = 1) -> None:
        with self._lock:
            self.timers[stage].add(seconds, frames)
        self.stats_collector.add_stage_time(stage, seconds, frames)

    def state(self) -> dict[str, Any]:
        """Return the timers as JSON-able state."""
        with self._lock:
            return {stage: timer.state() for stage, timer in self.timers.items()}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue with the timers of an earlier attempt."""
        for stage, timer in self.timers.items():
            timer.restore(state[stage])
