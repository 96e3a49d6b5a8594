"""Make the audio of one track of the result: one source stream, or the sum of several."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial

import numpy as np
from av.audio.frame import AudioFrame

from engines.audio.aligner import AudioAligner, Samples, packed_frame, samples_of
from engines.audio.track_plan import TrackPlan

MAX_LAG_S = 10  # of a stream of a mix behind the others in the file


class TrackMixer:
    """Turns decoded frames of the sources into the track's audio, gapless, at the track's rate and layout."""

    def __init__(self, plan: TrackPlan, origin: Fraction, scale: float = 1.0) -> None:
        self._aligners = {source: _aligner(plan, source, origin, scale) for source in plan.sources}
        self._mix = _Mix(plan) if len(plan.sources) > 1 else None

    @property
    def refused(self) -> int:
        """Number of frames that FFmpeg's filters refused."""
        return sum(aligner.refused for aligner in self._aligners.values())

    def take(self, source: int, frame: AudioFrame) -> Iterator[AudioFrame]:
        for aligned in self._aligners[source].take(frame):
            yield from self._mix.take(source, aligned) if self._mix else (aligned,)

    def finish(self) -> Iterator[AudioFrame]:
        for source, aligner in self._aligners.items():
            for frame in aligner.finish():
                yield from self._mix.take(source, frame) if self._mix else (frame,)
        if self._mix:
            yield from self._mix.finish()


def _aligner(plan: TrackPlan, source: int, origin: Fraction, scale: float) -> AudioAligner:
    return AudioAligner(plan.rate, plan.layout, partial(plan.channels, source), scale=scale, origin=origin)


@dataclass(slots=True)
class _Mix:
    """Adds streams. One that lags by more than ``MAX_LAG_S`` counts as ended; its later samples are left out."""

    plan: TrackPlan
    _begin: int = 0  # the first sample that was not emitted yet
    _ends: dict[int, int] = field(default_factory=dict)  # source -> the sample after its last one
    _pending: Samples = field(default_factory=lambda: np.zeros((0, 2), np.float32))

    def take(self, source: int, frame: AudioFrame) -> Iterator[AudioFrame]:
        samples = samples_of(frame)
        assert frame.pts is not None
        if frame.pts > self._begin + len(self._pending) + MAX_LAG_S * self.plan.rate:  # a gap too long to fill
            yield from self.finish()
            self._begin = frame.pts
        self._add(frame.pts, samples)
        self._ends[source] = frame.pts + frame.samples
        yield from self._emit(self._complete_until())

    def finish(self) -> Iterator[AudioFrame]:
        yield from self._emit(self._begin + len(self._pending))

    def _add(self, at: int, samples: Samples) -> None:
        samples = samples[max(0, self._begin - at) :]
        first = max(0, at - self._begin)
        missing = first + len(samples) - len(self._pending)
        if missing > 0:
            self._pending = np.concatenate([self._pending, np.zeros((missing, self._pending.shape[1]), np.float32)])
        self._pending[first : first + len(samples)] += samples

    def _complete_until(self) -> int:
        """Return the sample up to which all streams are complete or count as ended."""
        slowest = min(self._ends.get(source, 0) for source in self.plan.sources)
        return max(slowest, max(self._ends.values()) - MAX_LAG_S * self.plan.rate)

    def _emit(self, end: int) -> Iterator[AudioFrame]:
        count = end - self._begin
        if count <= 0:
            return
        frame = packed_frame(self._pending[:count], self.plan.layout, self.plan.rate)
        frame.pts, frame.time_base = self._begin, Fraction(1, self.plan.rate)
        self._pending, self._begin = self._pending[count:].copy(), end
        yield frame
