"""Facts about an audio stream that its header does not give and that decoding shows."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.filter import Graph
from av.packet import Packet
from av.stream import Stream

from engines.audio.aligner import TOLERANCE_S, Samples
from engines.audio.channel_mapping import LFE_NAMES, channel_names
from engines.audio.loudness import PACKED
from engines.containers.channel_layouts import Labels

BASS_HZ = 250  # LFE ends at 120 Hz; filters are not steep
NOT_BASS_SHARE = 0.1  # of a channel's energy
HEAD_PACKETS = 64  # the most that a decoder delays

Format = tuple[str, int, int]  # layout's name, channels, rate


@dataclass(slots=True)
class StreamFacts:
    """Facts about one decoded stream.

    Attributes:
        labels: the channel labels that the file gives.
        starts_s: time of the first sample, on the source's clock; None if nothing could be decoded.
        formats: all layouts and rates, in order of appearance.
        drift_s: largest difference between a time stamp and the number of samples before it.
        copy_from_s: start of the first packet with audible samples, or None like ``starts_s``.
        is_edited: whether an edit list of several parts cuts the audio.
    """

    codec: str
    labels: Labels | None = None
    is_edited: bool = False
    starts_s: Fraction | None = None
    formats: list[Format] = field(default_factory=list)
    drift_s: Fraction = Fraction(0)
    copy_from_s: Fraction | None = None
    _head: deque[tuple[Fraction, Fraction]] = field(default_factory=lambda: deque(maxlen=HEAD_PACKETS))
    lfe: LfeSpectrum | None = None
    _end_s: Fraction = Fraction(0)  # by the number of samples

    def note_packet(self, packet: Packet[Stream]) -> None:
        if packet.pts is not None and self.copy_from_s is None:
            begin_s = packet.pts * packet.time_base
            self._head.append((begin_s, begin_s + (packet.duration or 0) * packet.time_base))

    def note_frame(self, frame: AudioFrame) -> None:
        key = (frame.layout.name, frame.layout.nb_channels, frame.sample_rate)
        if key not in self.formats:
            self.formats.append(key)
        time_s = None if frame.pts is None or frame.time_base is None else frame.pts * frame.time_base
        if self.starts_s is None:
            self._record_start(time_s)
        elif time_s is not None:
            self.drift_s = max(self.drift_s, abs(time_s - self._end_s))
        self._end_s += Fraction(frame.samples, frame.sample_rate)
        self._note_lfe(frame)

    def _note_lfe(self, frame: AudioFrame) -> None:
        names = channel_names(frame.layout, self.labels)
        channel = next((number for number, name in enumerate(names) if name in LFE_NAMES), None)
        if channel is not None:
            self.lfe = self.lfe or LfeSpectrum()
            with suppress(av.FFmpegError, ValueError):  # a layout that only the codec knows
                self.lfe.note(frame, channel)

    def _record_start(self, time_s: Fraction | None) -> None:
        """Record the first audio. Packets before it hold only the codec's priming."""
        first_s = self._head[0][0] if self._head else Fraction(0)
        self.starts_s = self._end_s = first_s if time_s is None else time_s
        self.copy_from_s = next((begin for begin, end in self._head if end > self.starts_s), self.starts_s)

    @property
    def is_microphone(self) -> bool:
        """Whether the channel named LFE carries more than bass."""
        return self.lfe is not None and self.lfe.share > NOT_BASS_SHARE

    @property
    def drops_priming(self) -> bool:
        """Whether a copy leaves out the packets before ``copy_from_s``, which players without edit lists would play.

        The first packet of the copy fades in, as the one before is missing. Other codecs have less priming or need it.
        """
        return self.codec == "aac"

    def copy_refusal(self, origin: Fraction) -> str | None:
        """Return why a copy would be out of sync in players that ignore time stamps; None if it would not.

        Args:
            origin: start of the output, on the source's clock.
        """
        if self.starts_s is None or self.copy_from_s is None:
            return "nothing of it can be decoded"
        if self.is_edited:
            return "an edit list cuts it"
        if len(self.formats) > 1:
            return "its layout or rate changes midway"
        if self.drift_s > TOLERANCE_S:
            return "it has gaps or overlaps"
        first_s = self.copy_from_s if self.drops_priming else self.starts_s
        if max(self.starts_s - origin, abs(first_s - origin)) > TOLERANCE_S:
            return "it does not begin with the video"
        return None


@dataclass(slots=True)
class LfeSpectrum:
    """Measures how much of the channel named LFE is more than bass, as in a microphone's signal."""

    _all: float = 0.0
    _high: float = 0.0
    _graph: Graph | None = None
    _key: tuple[str, int] | None = None

    @property
    def share(self) -> float:
        """Share of the energy above the bass, 0 to 1."""
        return self._high / self._all if self._all > 0 else 0.0

    def note(self, frame: AudioFrame, channel: int) -> None:
        if self._key != (frame.layout.name, frame.sample_rate):
            self._graph, self._key = _one_channel(frame, channel), (frame.layout.name, frame.sample_rate)
        assert self._graph is not None
        self._graph.push(frame)
        out = self._graph.pull()
        assert isinstance(out, AudioFrame)
        self._add(np.asarray(out.to_ndarray()[0], np.float32), frame.sample_rate)

    def _add(self, samples: Samples, rate: int) -> None:
        power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
        self._all += float(power.sum())
        self._high += float(power[np.fft.rfftfreq(len(samples), 1 / rate) > BASS_HZ].sum())


def _one_channel(frame: AudioFrame, number: int) -> Graph:
    graph = Graph()
    graph.link_nodes(
        graph.add_abuffer(sample_rate=frame.sample_rate, format=frame.format.name, layout=frame.layout.name,
                          time_base=frame.time_base or Fraction(1, frame.sample_rate)),
        graph.add("pan", f"mono|c0=c{number}"),
        graph.add("aformat", f"sample_fmts={PACKED}"),
        graph.add("abuffersink"),
    ).configure()  # fmt: skip
    return graph
