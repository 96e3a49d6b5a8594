"""What a job has done since it last told: small sums for the service's metrics, cheap to keep and to send.

A worker may die at any moment, so it never tells totals: the service adds up what it was told, and its counters
never go back. The bounds of the buckets are the same in every worker, so that counts can simply be added.
"""

from __future__ import annotations

import math
import threading
from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5)
FRAMES = (0, 1, 2, 4, 8, 12, 16, 20, 24, 32, 48, 64, 128)
SHARES = (0.25, 0.5, 0.75, 0.9, 1.0)


@dataclass(slots=True)
class Histogram:
    """How values are spread: ``counts[i]`` of them lie above bound ``i - 1`` and not above bound ``i``.

    The last count is of those above all bounds.
    """

    counts: list[int]
    sum: float = 0.0

    @classmethod
    def over(cls, bounds: Collection[float]) -> Histogram:
        return cls([0] * (len(bounds) + 1))

    @classmethod
    def from_json(cls, body: dict[str, Any], bounds: Collection[float]) -> Histogram:
        """Read what another process has sent.

        Raises:
            ValueError: it does not fit the bounds, or would take something away.
        """
        counts = [_amount(count) for count in body["counts"]]
        if len(counts) != len(bounds) + 1:
            raise ValueError(f"{len(counts)} counts for {len(bounds)} bounds")
        return cls([int(count) for count in counts], _amount(body["sum"]))

    def put(self, bounds: tuple[float, ...], value: float, times: int = 1) -> None:
        self.counts[bisect_left(bounds, value)] += times
        self.sum += value * times

    def add(self, other: Histogram) -> None:
        self.counts = [mine + more for mine, more in zip(self.counts, other.counts, strict=True)]
        self.sum += other.sum


@dataclass(slots=True)
class StatsDelta:
    """The sums since the last one.

    Attributes:
        output_bytes: of encoded frames.
        latency: seconds that all stages together spent on each frame, waiting left out.
        stages: seconds per frame, by stage.
        queues: frames that waited for the next stage whenever one more came, by the stage that they come from.
        waiting: the same at this moment.
        fills: how full the queue behind a stage was whenever frames were added, from 0 to 1.
        undecodable: recordings that the GPU does not decode, by codec.
    """

    frames: int = 0
    replaced_frames: int = 0
    dropped_frames: int = 0
    output_bytes: int = 0
    latency: Histogram = field(default_factory=lambda: Histogram.over(SECONDS))
    stages: dict[str, Histogram] = field(default_factory=dict)
    queues: dict[str, Histogram] = field(default_factory=dict)
    waiting: dict[str, int] = field(default_factory=dict)
    fills: dict[str, Histogram] = field(default_factory=dict)
    undecodable: dict[str, int] = field(default_factory=dict)

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> StatsDelta:
        """Read what another process has sent.

        Raises:
            ValueError, KeyError, TypeError, AttributeError: it is no tally, or would take something away.
        """
        return cls(
            frames=int(_amount(body["frames"])),
            replaced_frames=int(_amount(body["replaced_frames"])),
            dropped_frames=int(_amount(body["dropped_frames"])),
            output_bytes=int(_amount(body["output_bytes"])),
            latency=Histogram.from_json(body["latency"], SECONDS),
            stages={stage: Histogram.from_json(histogram, SECONDS) for stage, histogram in body["stages"].items()},
            queues={stage: Histogram.from_json(histogram, FRAMES) for stage, histogram in body["queues"].items()},
            waiting={stage: int(_amount(count)) for stage, count in body["waiting"].items()},
            fills={stage: Histogram.from_json(histogram, SHARES) for stage, histogram in body["fills"].items()},
            undecodable={codec: int(_amount(count)) for codec, count in body["undecodable"].items()},
        )


def _amount(value: float) -> float:
    """A number that may be added to a counter."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise ValueError(f"no amount: {value!r}")
    return value


class StatsCollector:
    """Keeps the tally of a running job; its stages count from threads of their own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stats = StatsDelta()
        self._waiting: dict[str, int] = {}
        self._parts: dict[str, int] = {}  # that wait; frames travel in parts
        self._undecodable: set[str] = set()
        self._spent: dict[int, float] = {}  # seconds by pts, in the order of decoding

    def take(self) -> StatsDelta:
        """The sums since the last call."""
        with self._lock:
            taken, self._stats = self._stats, StatsDelta()
            taken.waiting = dict(self._waiting)
            return taken

    def stage(self, stage: str, seconds: float, frames: int) -> None:
        """A stage has worked on so many frames; it may also have worked on none."""
        with self._lock:
            histogram = self._stats.stages.setdefault(stage, Histogram.over(SECONDS))
            if frames:
                histogram.put(SECONDS, seconds / frames, frames)
            else:
                histogram.sum += seconds

    def spent(self, pts: Sequence[int], seconds: float) -> None:
        """So much work went into these frames together."""
        with self._lock:
            for each in pts:
                self._spent[each] = self._spent.get(each, 0.0) + seconds / len(pts)

    def done(self, pts: Sequence[int]) -> list[float]:
        """These frames are encoded, in the order of their pts; what came before them and is not, never will be.

        Returns:
            The seconds that were spent on each.
        """
        with self._lock:
            spent = [self._spent.pop(each, 0.0) for each in pts]
            for seconds in spent:
                self._stats.latency.put(SECONDS, seconds)
            while self._spent and (oldest := next(iter(self._spent))) < pts[-1]:
                del self._spent[oldest]
        return spent

    def broke_off(self) -> None:
        """Frames that are on their way will not arrive."""
        with self._lock:
            self._spent.clear()
            self._waiting.clear()
            self._parts.clear()

    def queued(self, stage: str, frames: int, *, most_parts: int) -> None:
        """One more part, of so many frames, waits behind a stage, where ``most_parts`` can."""
        with self._lock:
            depth = self._waiting[stage] = self._waiting.get(stage, 0) + frames
            parts = self._parts[stage] = self._parts.get(stage, 0) + 1
            self._stats.fills.setdefault(stage, Histogram.over(SHARES)).put(SHARES, parts / most_parts)
            if frames:
                self._stats.queues.setdefault(stage, Histogram.over(FRAMES)).put(FRAMES, depth)

    def taken(self, stage: str, frames: int) -> None:
        """The next stage has taken a part of so many frames."""
        with self._lock:
            self._waiting[stage] -= frames
            self._parts[stage] -= 1

    def undecodable(self, codec: str) -> None:
        """The GPU does not decode the job's recording; counted once, however often it is found."""
        with self._lock:
            if codec not in self._undecodable:
                self._undecodable.add(codec)
                self._stats.undecodable[codec] = 1

    def written(self, *, output_bytes: int = 0, frames: int = 0, replaced: int = 0, dropped: int = 0) -> None:
        with self._lock:
            stats = self._stats
            stats.frames += frames
            stats.replaced_frames += replaced
            stats.dropped_frames += dropped
            stats.output_bytes += output_bytes
