"""Align decoded audio with the output's timeline: no gaps, no overlaps, so that the sample count is the time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.layout import AudioLayout
from av.filter import Graph
from numpy.typing import NDArray

from engines.audio.channel_mapping import ChannelMapping
from engines.audio.loudness import PACKED

TOLERANCE_S = Fraction(1, 100)  # smaller differences are rounding of time stamps; larger ones are audible
LONGEST_FILL_S = 3600  # a longer gap is not filled: its time stamp is probably wrong

Samples = NDArray[np.float32]


class AudioAligner:
    """Converts one source stream to interleaved float samples of one rate and layout; sample n plays at n / ``rate``.

    Gaps become silence; overlaps and samples before 0 are cut. After the first sample, differences up to
    ``TOLERANCE_S`` are ignored.

    Attributes:
        refused: number of frames that FFmpeg's filters refused.

    Args:
        rate, layout: of the returned frames.
        mapping: returns how the channels of a frame become those of ``layout``; frames may differ.
        scale: factor for all samples.
        origin: start of the output, in seconds of the source's clock.
    """

    def __init__(
        self, rate: int, layout: str, mapping: Callable[[AudioFrame], ChannelMapping], *, scale: float, origin: Fraction
    ) -> None:
        self._rate = rate
        self._layout = layout
        self._channels = AudioLayout(layout).nb_channels
        self._mapping = mapping
        self._scale = scale
        self._origin = origin
        self._graph: Graph | None = None
        self._key: tuple[object, ...] = ()
        self._next = 0  # number of the next sample
        self._has_begun = False
        self.refused = 0

    def take(self, frame: AudioFrame) -> Iterator[AudioFrame]:
        """Yield the aligned frames that are complete."""
        try:
            yield from self._take(frame)
        except (av.FFmpegError, ValueError):  # for example a layout that only the codec knows
            self.refused += 1
            self._graph, self._key = None, ()

    def finish(self) -> Iterator[AudioFrame]:
        """Yield what the resampler still holds."""
        if self._graph is not None:
            self._graph.push(None)
            yield from self._pulled(self._graph)
        self._graph, self._key = None, ()

    def _take(self, frame: AudioFrame) -> Iterator[AudioFrame]:
        key = (frame.format.name, frame.layout.name, frame.sample_rate)
        if key != self._key:
            yield from self.finish()
            self._graph, self._key = self._build(frame), key
        assert self._graph is not None
        pts, time_base = frame.pts, frame.time_base
        frame.pts, frame.time_base = self._position(frame), Fraction(1, frame.sample_rate)
        self._graph.push(frame)
        frame.pts = pts  # other tracks may use the frame as well
        if time_base is not None:
            frame.time_base = time_base
        yield from self._pulled(self._graph)

    def _position(self, frame: AudioFrame) -> int | None:
        if frame.pts is None or frame.time_base is None:
            return None
        return round((frame.pts * frame.time_base - self._origin) * frame.sample_rate)

    def _build(self, frame: AudioFrame) -> Graph:
        """Mix channels as floats, which cannot overflow, and by our own table alone."""
        graph = Graph()
        graph.link_nodes(
            graph.add_abuffer(
                sample_rate=frame.sample_rate,
                format=frame.format.name,
                layout=frame.layout.name,
                time_base=Fraction(1, frame.sample_rate),
            ),
            graph.add("aformat", "sample_fmts=fltp"),
            graph.add("pan", self._mapping(frame).pan(self._scale)),
            graph.add("aresample", f"{self._rate}"),
            graph.add("aformat", f"sample_fmts={PACKED}:channel_layouts={self._layout}"),
            graph.add("abuffersink"),
        ).configure()
        return graph

    def _pulled(self, graph: Graph) -> Iterator[AudioFrame]:
        while True:
            try:
                frame = graph.pull()
            except (BlockingIOError, EOFError):
                return
            assert isinstance(frame, AudioFrame)
            yield from self._align(frame)

    def _align(self, frame: AudioFrame) -> Iterator[AudioFrame]:
        late = 0 if frame.pts is None else frame.pts - self._next
        tolerance = TOLERANCE_S * self._rate if self._has_begun else 0
        self._has_begun = True
        if late > LONGEST_FILL_S * self._rate:
            self._next += late
        elif late > tolerance:
            yield from self._silence(late)
        elif late < -tolerance:
            rest = samples_of(frame)[-late:]
            if len(rest):
                yield self._next_frame(rest)
            return
        yield self._numbered(frame)

    def _silence(self, samples: int) -> Iterator[AudioFrame]:
        while samples:
            count = min(samples, self._rate)
            yield self._next_frame(np.zeros((count, self._channels), np.float32))
            samples -= count

    def _next_frame(self, samples: Samples) -> AudioFrame:
        return self._numbered(packed_frame(samples, self._layout, self._rate))

    def _numbered(self, frame: AudioFrame) -> AudioFrame:
        frame.pts, frame.time_base = self._next, Fraction(1, self._rate)
        self._next += frame.samples
        return frame


def samples_of(frame: AudioFrame) -> Samples:
    """Return the samples of a packed float frame, shape (samples, channels)."""
    return np.asarray(frame.to_ndarray(), np.float32).reshape(frame.samples, -1)


def packed_frame(samples: Samples, layout: str, rate: int) -> AudioFrame:
    """Return a frame of interleaved samples, given in shape (samples, channels)."""
    frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples).reshape(1, -1), format=PACKED, layout=layout)
    frame.sample_rate = rate
    return frame
