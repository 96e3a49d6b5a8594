"""Counters and histograms of a running job, sent to the service as differences.

A worker may die at any moment, so it sends what has been added since its last message and no totals. The service adds
these up, so its counters never go back. The bounds of the histograms are the same in every worker, so that counts can
simply be added.
"""

from __future__ import annotations

import math
import threading
from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

STAGES = ("decode", "detect", "track", "compose", "encode")  # that are timed

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5)
FRAMES = (0, 1, 2, 4, 8, 12, 16, 20, 24, 32, 48, 64, 128)
SHARES = (0.25, 0.5, 0.75, 0.9, 1.0)


@dataclass(slots=True)
class Histogram:
    """The distribution of values: ``counts[i]`` of them lie above bound ``i - 1`` and not above bound ``i``.

    The last count is of those above all bounds.
    """

    counts: list[int]
    sum: float = 0.0

    @classmethod
    def over(cls, bounds: Collection[float]) -> Histogram:
        """Return an empty histogram."""
        return cls([0] * (len(bounds) + 1))

    @classmethod
    def from_json(cls, body: dict[str, Any], bounds: Collection[float]) -> Histogram:
        """Read a histogram that another process has sent.

        Raises:
            ValueError: it does not fit the bounds, or has a negative value.
        """
        counts = [_amount(count) for count in body["counts"]]
        if len(counts) != len(bounds) + 1:
            raise ValueError(f"{len(counts)} counts for {len(bounds)} bounds")
        return cls([int(count) for count in counts], _amount(body["sum"]))

    def observe(self, bounds: tuple[float, ...], value: float, times: int = 1) -> None:
        self.counts[bisect_left(bounds, value)] += times
        self.sum += value * times

    def add(self, other: Histogram) -> None:
        self.counts = [mine + more for mine, more in zip(self.counts, other.counts, strict=True)]
        self.sum += other.sum


@dataclass(slots=True)
class StatsDelta:
    """What has been added since the last one.

    Attributes:
        output_bytes: of encoded frames.
        latency: seconds that all stages together spent on each frame, without waiting.
        stages: seconds per frame, by stage.
        queues: frames in the queue behind a stage, observed whenever frames are added to it, by stage.
        waiting: frames in the queue behind a stage at this moment, by stage.
        fills: how full the queue behind a stage is, from 0 to 1, observed whenever frames are added to it, by stage.
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
            ValueError, KeyError, TypeError, AttributeError: it is no such message, or has a negative value.
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
    """Return a number that may be added to a counter.

    Raises:
        ValueError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise ValueError(f"no amount: {value!r}")
    return value


class StatsCollector:
    """Collects the statistics of a running job from the threads of its stages."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stats = StatsDelta()
        self._waiting: dict[str, int] = {}  # frames, by stage
        self._parts: dict[str, int] = {}  # queue entries, by stage; one entry holds several frames
        self._undecodable: set[str] = set()
        self._frame_seconds: dict[int, float] = {}  # by pts, in the order of decoding

    def take_delta(self) -> StatsDelta:
        """Return what has been added since the last call."""
        with self._lock:
            taken, self._stats = self._stats, StatsDelta()
            taken.waiting = dict(self._waiting)
            return taken

    def add_stage_time(self, stage: str, seconds: float, frames: int) -> None:
        """Add the time that a stage has worked on some frames, or on none."""
        with self._lock:
            histogram = self._stats.stages.setdefault(stage, Histogram.over(SECONDS))
            if frames:
                histogram.observe(SECONDS, seconds / frames, frames)
            else:
                histogram.sum += seconds

    def add_frame_time(self, pts: Sequence[int], seconds: float) -> None:
        """Add the time that was spent on these frames together."""
        with self._lock:
            for each in pts:
                self._frame_seconds[each] = self._frame_seconds.get(each, 0.0) + seconds / len(pts)

    def finish_frames(self, pts: Sequence[int]) -> list[float]:
        """Record the latency of frames that are encoded, given in the order of their pts.

        Frames with a lower pts that are not finished by now never will be: frame skip left them out.

        Returns:
            The seconds that were spent on each.
        """
        with self._lock:
            spent = [self._frame_seconds.pop(each, 0.0) for each in pts]
            for seconds in spent:
                self._stats.latency.observe(SECONDS, seconds)
            while self._frame_seconds and (oldest := next(iter(self._frame_seconds))) < pts[-1]:
                del self._frame_seconds[oldest]
        return spent

    def drop_frames_in_flight(self) -> None:
        """Forget the frames that are between two stages: rendering was interrupted."""
        with self._lock:
            self._frame_seconds.clear()
            self._waiting.clear()
            self._parts.clear()

    def enqueue(self, stage: str, frames: int, *, most_parts: int) -> None:
        """Record that an entry of ``frames`` frames joins a stage's queue, which holds up to ``most_parts`` entries."""
        with self._lock:
            depth = self._waiting[stage] = self._waiting.get(stage, 0) + frames
            parts = self._parts[stage] = self._parts.get(stage, 0) + 1
            self._stats.fills.setdefault(stage, Histogram.over(SHARES)).observe(SHARES, parts / most_parts)
            if frames:
                self._stats.queues.setdefault(stage, Histogram.over(FRAMES)).observe(FRAMES, depth)

    def dequeue(self, stage: str, frames: int) -> None:
        """Record that the next stage has taken an entry of ``frames`` frames."""
        with self._lock:
            self._waiting[stage] -= frames
            self._parts[stage] -= 1

    def count_undecodable(self, codec: str) -> None:
        """Count that the GPU does not decode the job's recording; repeated calls count once."""
        with self._lock:
            if codec not in self._undecodable:
                self._undecodable.add(codec)
                self._stats.undecodable[codec] = 1

    def count_written(self, *, output_bytes: int = 0, frames: int = 0, replaced: int = 0, dropped: int = 0) -> None:
        with self._lock:
            stats = self._stats
            stats.frames += frames
            stats.replaced_frames += replaced
            stats.dropped_frames += dropped
            stats.output_bytes += output_bytes
