"""One pass over all sound before anything is written: what decides how each stream is delivered, and its loudness.

Headers do not tell whether a stream changes midway, has gaps or edits, holds bass in the channel that it names LFE, or
clips when it is mixed. Decoding everything does, and costs about 15 CPU seconds for an hour of stereo, most of them for
the loudness, which is reported in any case.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.layout import AudioLayout
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.filter import Graph
from av.packet import Packet
from av.stream import Disposition, Stream

from engines.cpu.audio_layout import LFE_NAMES, channel_plan
from engines.cpu.audio_line import LinePlan, LineRule, SoundLine
from engines.cpu.audio_place import TOLERANCE_S
from engines.cpu.audio_policy import AudioPolicy, codec_name
from engines.cpu.container import PacketReader, open_media
from engines.cpu.loudness import PACKED, Loudness, Meter

MAX_SOURCES = 64                    # professional recordings have up to 32; a muxer's memory grows with each
AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
MIX_PEAK_DBTP = -1.0                # what a mix is turned down to
BASS_HZ = 250                       # LFE ends at 120 Hz; filters are not steep
NOT_BASS_SHARE = 0.1                # of a channel's energy
HEAD_PACKETS = 64                   # that a decoder may hold back
SKEW_S = 2                          # that a stream may begin before the one that comes first in the file
PROGRESS_EVERY = 512

Format = tuple[str, int]            # layout's name, rate


@dataclass(slots=True)
class StreamFacts:
    """What a pass over one stream has shown.

    Attributes:
        heard_s: when its first sample is heard, on the source's clock; None where nothing could be decoded.
        formats: all layouts and rates, in order of appearance.
        drift_s: the most that time stamps and the number of samples before them disagree.
        kept_from_s: when the first packet begins that is heard, or None like ``heard_s``.
    """

    codec: str
    heard_s: Fraction | None = None
    formats: list[Format] = field(default_factory=list)
    drift_s: Fraction = Fraction(0)
    kept_from_s: Fraction | None = None
    _head: deque[tuple[Fraction, Fraction]] = field(default_factory=lambda: deque(maxlen=HEAD_PACKETS))
    lfe: LfeProbe | None = None
    _end_s: Fraction = Fraction(0)              # by the number of samples

    def note_packet(self, packet: Packet[Stream]) -> None:
        if packet.pts is not None and self.kept_from_s is None:
            begin_s = packet.pts * packet.time_base
            self._head.append((begin_s, begin_s + (packet.duration or 0) * packet.time_base))

    def note_frame(self, frame: AudioFrame) -> None:
        key = (frame.layout.name, frame.sample_rate)
        if key not in self.formats:
            self.formats.append(key)
        time_s = None if frame.pts is None or frame.time_base is None else frame.pts * frame.time_base
        if self.heard_s is None:
            self._begin(time_s)
        elif time_s is not None:
            self.drift_s = max(self.drift_s, abs(time_s - self._end_s))
        self._end_s += Fraction(frame.samples, frame.sample_rate)
        if self.lfe is None and LFE_NAMES & {channel.name for channel in frame.layout.channels}:
            self.lfe = LfeProbe()
        if self.lfe:
            self.lfe.note(frame)

    def _begin(self, time_s: Fraction | None) -> None:
        """Note the first sound. Before it there are packets that hold nothing but the codec's run-in."""
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
        if len(self.formats) > 1:
            return "its layout or rate changes midway"
        if self.drift_s > TOLERANCE_S:
            return "it has gaps or edits"
        first_s = self.kept_from_s if self.drops_run_in else self.heard_s
        if max(self.heard_s - origin, abs(first_s - origin)) > TOLERANCE_S:
            return "it does not begin with the picture"
        return None


@dataclass(slots=True)
class LfeProbe:
    """Tells bass from a microphone in the channel that is named LFE."""

    _all: float = 0.0
    _high: float = 0.0
    _graph: Graph | None = None
    _key: Format | None = None

    @property
    def share(self) -> float:
        """Of the energy that is not bass."""
        return self._high / self._all if self._all > 0 else 0.0

    def note(self, frame: AudioFrame) -> None:
        names = [channel.name for channel in frame.layout.channels]
        found = next((number for number, name in enumerate(names) if name in LFE_NAMES), None)
        if found is None:
            return
        if self._key != (frame.layout.name, frame.sample_rate):
            self._graph, self._key = _one_channel(frame, found), (frame.layout.name, frame.sample_rate)
        assert self._graph is not None
        self._graph.push(frame)
        out = self._graph.pull()
        assert isinstance(out, AudioFrame)
        self._add(out.to_ndarray()[0], frame.sample_rate)

    def _add(self, samples: np.ndarray, rate: int) -> None:
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


@dataclass(frozen=True, slots=True)
class Line:
    """A track of the result, and what the pass has measured of it before any change of its level."""

    plan: LinePlan
    loudness: Loudness | None

    @property
    def gain_db(self) -> float:
        """By which a mix is turned so that it does not clip; never up."""
        if not self.plan.is_mix or self.loudness is None:
            return 0.0
        return min(0.0, round(MIX_PEAK_DBTP - self.loudness.true_peak_dbtp, 2))


@dataclass(frozen=True, slots=True)
class Prescan:
    """All sound of a recording.

    Attributes:
        facts: by the stream's index.
        lines: the tracks of the result, in order.
        dropped: streams that are in none: no decoder, or too many.
        policy: what is wanted of the sound.
    """

    facts: Mapping[int, StreamFacts]
    lines: tuple[Line, ...]
    dropped: tuple[int, ...]
    policy: AudioPolicy

    def starts_s(self) -> list[Fraction]:
        """When each stream begins to be heard, on the source's clock."""
        return [facts.heard_s for facts in self.facts.values() if facts.heard_s is not None]


def prescan(
    path: Path, indices: Sequence[int], policy: AudioPolicy, on_progress: Callable[[float], None] = lambda _: None
) -> Prescan:
    """Decode all sound, and decide from what it holds which tracks the result has.

    Args:
        indices: of the audio streams.
        on_progress: called now and then with the seconds that are done; what it raises goes through.

    Raises:
        MediaError: the file cannot be opened.
        OSError: the storage failed.
    """
    facts: Mapping[int, StreamFacts] = {}
    lines: tuple[Line, ...] = ()
    while indices:                              # once as the headers say, and again where they are wrong
        with open_media(path) as container:
            streams = [cast(AudioStream, container.streams[index]) for index in indices]
            taken = [s for s in streams if s.codec_context is not None and s.codec_context.sample_rate][:MAX_SOURCES]
            plans = _plan_lines(taken, facts, policy)
            if not taken or [line.plan for line in lines] == plans:
                return Prescan(facts, lines, tuple(s.index for s in streams if s not in taken), policy)
            facts, lines = _measured(container, taken, plans, on_progress)
    return Prescan(facts, lines, (), policy)


def _plan_lines(
    streams: Sequence[AudioStream], known: Mapping[int, StreamFacts], policy: AudioPolicy
) -> list[LinePlan]:
    """The tracks of the result: a mix first where the recording is several microphones, then one for each stream."""
    singles = [_plan_line(stream, known.get(stream.index), policy) for stream in streams]
    together = _microphones(streams)
    if len(together) < 2:
        return singles
    rate = max(plan.rate for plan in singles if plan.sources[0] in together)
    return [LinePlan(together, rate, "stereo", "mixed"), *singles]


def _plan_line(stream: AudioStream, facts: StreamFacts | None, policy: AudioPolicy) -> LinePlan:
    """Where a stream changes midway, it becomes stereo at its highest rate."""
    context = stream.codec_context
    formats = facts.formats if facts and facts.formats else [(context.layout.name, context.sample_rate)]
    is_microphone = bool(facts and facts.is_microphone)
    changes = len({layout for layout, _ in formats}) > 1
    plan = channel_plan(
        AudioLayout(formats[0][0]), stereo=policy.stereo or changes, lfe_is_microphone=is_microphone
    )
    rule: LineRule = "positions" if changes and plan.rule == "kept" else plan.rule
    microphones = frozenset({stream.index}) if is_microphone else frozenset()
    return LinePlan((stream.index,), _aac_rate(max(rate for _, rate in formats)), plan.layout, rule, microphones)


def _microphones(streams: Sequence[AudioStream]) -> tuple[int, ...]:
    """The streams that are one microphone each: mono, all of one language, and the first of the file among them."""
    if not streams or streams[0].codec_context.channels != 1:
        return ()
    return tuple(
        stream.index for stream in streams
        if stream.codec_context.channels == 1
        and stream.language == streams[0].language
        and not stream.disposition & ~(Disposition.default | Disposition.original)
    )


def _aac_rate(rate: int) -> int:
    return rate if rate in AAC_RATES else 48_000


def _measured(
    container: InputContainer,
    streams: Sequence[AudioStream],
    plans: Sequence[LinePlan],
    on_progress: Callable[[float], None],
) -> tuple[dict[int, StreamFacts], tuple[Line, ...]]:
    facts = {stream.index: StreamFacts(codec_name(stream)) for stream in streams}
    measured: list[_MeasuredLine] = []
    for number, (index, frame) in enumerate(_decoded(container, streams, facts)):
        facts[index].note_frame(frame)
        if not measured:
            origin = (facts[index].heard_s or Fraction(0)) - SKEW_S
            measured = [_MeasuredLine(plan, origin) for plan in plans]
        for line in measured:
            line.take(index, frame)
        if number % PROGRESS_EVERY == 0:
            on_progress(float(frame.time or 0))
    return facts, tuple(line.finished() for line in measured) or tuple(Line(plan, None) for plan in plans)


class _MeasuredLine:
    """A track on its way into a meter, and nowhere else."""

    def __init__(self, plan: LinePlan, origin: Fraction) -> None:
        self._plan = plan
        self._line = SoundLine(plan, origin)
        self._meter = Meter(plan.rate, plan.layout)

    def take(self, source: int, frame: AudioFrame) -> None:
        if source in self._plan.sources:
            self._measure(self._line.take(source, frame))

    def finished(self) -> Line:
        self._measure(self._line.finish())
        for _ in self._meter.finish():
            pass
        return Line(self._plan, self._meter.loudness)

    def _measure(self, frames: Iterable[AudioFrame]) -> None:
        for frame in frames:
            for _ in self._meter.take(frame):
                pass


def _decoded(
    container: InputContainer, streams: Sequence[AudioStream], facts: Mapping[int, StreamFacts]
) -> Iterator[tuple[int, AudioFrame]]:
    """All frames with their streams' indices."""
    by_index = {stream.index: stream for stream in streams}
    for packet in PacketReader(container, list(streams)):
        facts[packet.stream_index].note_packet(packet)
        yield from ((packet.stream_index, frame) for frame in _frames(by_index[packet.stream_index], packet))
    for index, stream in by_index.items():
        yield from ((index, frame) for frame in _frames(stream, None))


def _frames(stream: AudioStream, packet: Packet[Stream] | None) -> list[AudioFrame]:
    """What a packet decodes to, None for the codec's rest; nothing where it is damaged."""
    try:
        return stream.decode(packet)
    except (av.FFmpegError, ValueError):
        return []
