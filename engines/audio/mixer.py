"""The audio of one track of the result: one source stream, or the sum of several."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from typing import Literal

import numpy as np
from av.audio.frame import AudioFrame

from engines.audio.aligner import PlacedAudio, Samples, packed_frame, samples_of
from engines.audio.channel_mapping import ChannelPlan, channel_plan
from engines.containers.channel_layouts import Labels

LineRule = Literal["kept", "positions", "discrete", "mixed"]

WAITING_S = 10  # that a stream of a mix may lag behind the others in the file


@dataclass(frozen=True, slots=True)
class LinePlan:
    """How a track is made.

    Attributes:
        sources: the streams that are heard in it, by index.
        rate, layout: of the track.
        rule: a name of ``engines.audio.channel_mapping``, or "mixed": all of several mono streams on both sides.
        microphones: the streams whose channel named LFE carries more than bass.
        labels: for each of ``sources``, what the file says of its channels.
    """

    sources: tuple[int, ...]
    rate: int
    layout: str
    rule: LineRule
    microphones: frozenset[int] = frozenset()
    labels: tuple[Labels | None, ...] = (None,)

    @property
    def is_mix(self) -> bool:
        """Whether channels are added up, so that the sum may clip."""
        return self.rule != "kept"

    def channels(self, source: int, frame: AudioFrame) -> ChannelPlan:
        """How a frame's channels become the track's."""
        labels, is_microphone = self.labels[self.sources.index(source)], source in self.microphones
        plan = channel_plan(frame.layout, labels, lfe_is_microphone=is_microphone)
        if plan.layout == self.layout:
            return plan
        return channel_plan(frame.layout, labels, stereo=True, lfe_is_microphone=is_microphone)


class AudioLine:
    """Decoded frames of the sources in, the track's audio out: even, at the track's rate and layout."""

    def __init__(self, plan: LinePlan, origin: Fraction, scale: float = 1.0) -> None:
        self._placed = {source: _place(plan, source, origin, scale) for source in plan.sources}
        self._sum = _Sum(plan) if len(plan.sources) > 1 else None

    @property
    def refused(self) -> int:
        """How many frames FFmpeg's filters did not take."""
        return sum(placed.refused for placed in self._placed.values())

    def take(self, source: int, frame: AudioFrame) -> Iterator[AudioFrame]:
        for placed in self._placed[source].take(frame):
            yield from self._sum.take(source, placed) if self._sum else (placed,)

    def finish(self) -> Iterator[AudioFrame]:
        for source, placed in self._placed.items():
            for frame in placed.finish():
                yield from self._sum.take(source, frame) if self._sum else (frame,)
        if self._sum:
            yield from self._sum.finish()


def _place(plan: LinePlan, source: int, origin: Fraction, scale: float) -> PlacedAudio:
    return PlacedAudio(plan.rate, plan.layout, partial(plan.channels, source), scale=scale, origin=origin)


@dataclass(slots=True)
class _Sum:
    """Adds streams up. One that lags behind by more than ``WAITING_S`` has ended; what comes later is left out."""

    plan: LinePlan
    _begin: int = 0  # the first sample that has not been given out
    _ends: dict[int, int] = field(default_factory=dict)  # source -> the sample behind its last one
    _pending: Samples = field(default_factory=lambda: np.zeros((0, 2), np.float32))

    def take(self, source: int, frame: AudioFrame) -> Iterator[AudioFrame]:
        samples = samples_of(frame)
        assert frame.pts is not None
        if frame.pts > self._begin + len(self._pending) + WAITING_S * self.plan.rate:  # a gap too long to fill
            yield from self.finish()
            self._begin = frame.pts
        self._add(frame.pts, samples)
        self._ends[source] = frame.pts + frame.samples
        yield from self._given(self._certain())

    def finish(self) -> Iterator[AudioFrame]:
        yield from self._given(self._begin + len(self._pending))

    def _add(self, at: int, samples: Samples) -> None:
        samples = samples[max(0, self._begin - at) :]
        first = max(0, at - self._begin)
        missing = first + len(samples) - len(self._pending)
        if missing > 0:
            self._pending = np.concatenate([self._pending, np.zeros((missing, self._pending.shape[1]), np.float32)])
        self._pending[first : first + len(samples)] += samples

    def _certain(self) -> int:
        """The sample up to which all streams have come, or need not be waited for."""
        slowest = min(self._ends.get(source, 0) for source in self.plan.sources)
        return max(slowest, max(self._ends.values()) - WAITING_S * self.plan.rate)

    def _given(self, end: int) -> Iterator[AudioFrame]:
        count = end - self._begin
        if count <= 0:
            return
        frame = packed_frame(self._pending[:count], self.plan.layout, self.plan.rate)
        frame.pts, frame.time_base = self._begin, Fraction(1, self.plan.rate)
        self._pending, self._begin = self._pending[count:].copy(), end
        yield frame
