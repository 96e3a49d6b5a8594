"""What one pass over a decoded audio stream shows, and its header does not tell."""

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
HEAD_PACKETS = 64  # that a decoder may hold back

Format = tuple[str, int, int]  # layout's name, channels, rate


@dataclass(slots=True)
class StreamFacts:
    """What a pass over one stream has shown.

    Attributes:
        labels: what the file says of its channels.
        heard_s: when its first sample is heard, on the source's clock; None where nothing could be decoded.
        formats: all layouts and rates, in order of appearance.
        drift_s: the most that time stamps and the number of samples before them disagree.
        kept_from_s: when the first packet begins that is heard, or None like ``heard_s``.
        is_edited: what is heard of it is cut by an edit list of several parts.
    """

    codec: str
    labels: Labels | None = None
    is_edited: bool = False
    heard_s: Fraction | None = None
    formats: list[Format] = field(default_factory=list)
    drift_s: Fraction = Fraction(0)
    kept_from_s: Fraction | None = None
    _head: deque[tuple[Fraction, Fraction]] = field(default_factory=lambda: deque(maxlen=HEAD_PACKETS))
    lfe: LfeProbe | None = None
    _end_s: Fraction = Fraction(0)  # by the number of samples

    def note_packet(self, packet: Packet[Stream]) -> None:
        if packet.pts is not None and self.kept_from_s is None:
            begin_s = packet.pts * packet.time_base
            self._head.append((begin_s, begin_s + (packet.duration or 0) * packet.time_base))

    def note_frame(self, frame: AudioFrame) -> None:
        key = (frame.layout.name, frame.layout.nb_channels, frame.sample_rate)
        if key not in self.formats:
            self.formats.append(key)
        time_s = None if frame.pts is None or frame.time_base is None else frame.pts * frame.time_base
        if self.heard_s is None:
            self._begin(time_s)
        elif time_s is not None:
            self.drift_s = max(self.drift_s, abs(time_s - self._end_s))
        self._end_s += Fraction(frame.samples, frame.sample_rate)
        self._note_lfe(frame)

    def _note_lfe(self, frame: AudioFrame) -> None:
        names = channel_names(frame.layout, self.labels)
        channel = next((number for number, name in enumerate(names) if name in LFE_NAMES), None)
        if channel is not None:
            self.lfe = self.lfe or LfeProbe()
            with suppress(av.FFmpegError, ValueError):  # a layout that only the codec knows
                self.lfe.note(frame, channel)

    def _begin(self, time_s: Fraction | None) -> None:
        """Note the first audio. Before it there are packets that hold nothing but the codec's run-in."""
        first_s = self._head[0][0] if self._head else Fraction(0)
        self.heard_s = self._end_s = first_s if time_s is None else time_s
        self.kept_from_s = next((begin for begin, end in self._head if end > self.heard_s), self.heard_s)

    @property
    def is_microphone(self) -> bool:
        """Whether the channel named LFE carries more than bass."""
        return self.lfe is not None and self.lfe.share > NOT_BASS_SHARE

    @property
    def drops_run_in(self) -> bool:
        """Whether a copy leaves out the packets before ``kept_from_s``, which players without edit lists would play.

        The first one kept fades in, for want of the one before. Other codecs begin with less, or need it.
        """
        return self.codec == "aac"

    def copy_refusal(self, origin: Fraction) -> str | None:
        """Why the stream cannot be copied so that it is in sync also for players that do not follow time stamps.

        Args:
            origin: when the output begins, on the source's clock.
        """
        if self.heard_s is None or self.kept_from_s is None:
            return "nothing of it can be decoded"
        if self.is_edited:
            return "an edit list cuts it"
        if len(self.formats) > 1:
            return "its layout or rate changes midway"
        if self.drift_s > TOLERANCE_S:
            return "it has gaps or overlaps"
        first_s = self.kept_from_s if self.drops_run_in else self.heard_s
        if max(self.heard_s - origin, abs(first_s - origin)) > TOLERANCE_S:
            return "it does not begin with the frame"
        return None


@dataclass(slots=True)
class LfeProbe:
    """Tells bass from a microphone in the channel that is named LFE."""

    _all: float = 0.0
    _high: float = 0.0
    _graph: Graph | None = None
    _key: tuple[str, int] | None = None

    @property
    def share(self) -> float:
        """Of the energy that is not bass."""
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
