"""One pass over all audio before anything is written: what decides how each stream is delivered, and its loudness.

Headers do not tell whether a stream changes midway, has gaps or edits, holds bass in the channel that it names LFE, or
clips when it is mixed. Decoding everything does, and costs about 20 CPU seconds for an hour of stereo AAC, half of them
for the loudness, which is reported in any case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream

from engines.audio.facts import StreamFacts
from engines.audio.loudness import Loudness, MetricDefinition
from engines.audio.mixer import AudioLine, LinePlan
from engines.audio.policy import AudioPolicy, codec_name
from engines.audio.reader import AudioReader
from engines.audio.track_plan import plan_lines
from engines.containers.demux import open_media
from engines.frames import AudioInfo

MAX_SOURCES = 64  # professional recordings have up to 32; a muxer's memory grows with each
MIX_PEAK_DBTP = -1.0  # what a mix is turned down to
SKEW_S = Fraction(1, 2)  # by which a stream of a mix may begin before the one that comes first in the file
PROGRESS_EVERY = 512


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
    """All audio of a recording.

    Attributes:
        facts: by the stream's index.
        lines: the tracks of the result, in order.
        dropped: streams that are in none: no decoder, or too many.
        policy: what is wanted of the audio.
    """

    facts: Mapping[int, StreamFacts]
    lines: tuple[Line, ...]
    dropped: tuple[int, ...]
    policy: AudioPolicy

    def starts_s(self) -> list[Fraction]:
        """When each stream begins to be heard, on the source's clock."""
        return [facts.heard_s for facts in self.facts.values() if facts.heard_s is not None]


def prescan(
    path: Path, audio: Sequence[AudioInfo], policy: AudioPolicy, on_progress: Callable[[float], None] = lambda _: None
) -> Prescan:
    """Decode all audio, and decide from what it holds which tracks the result has.

    Args:
        sounds: the audio streams, as ``probe`` describes them.
        on_progress: called now and then with the seconds that are done; what it raises goes through.

    Raises:
        MediaError: the file cannot be opened.
        OSError: the storage failed.
    """
    facts: Mapping[int, StreamFacts] = {}
    lines: tuple[Line, ...] = ()
    labels = {audio.index: audio.channel_labels for audio in audio}
    while audio:  # once as the headers say, and again where they are wrong
        with open_media(path) as container:
            streams = [cast(AudioStream, container.streams[audio.index]) for audio in audio]
            taken = [s for s in streams if s.codec_context is not None and s.codec_context.sample_rate][:MAX_SOURCES]
            plans = plan_lines(taken, labels, facts, policy)
            if not taken or [line.plan for line in lines] == plans:
                return Prescan(facts, lines, tuple(s.index for s in streams if s not in taken), policy)
            reader = AudioReader(path, container, taken, labels)
            facts = {s.index: StreamFacts(codec_name(s), labels[s.index], reader.is_edited) for s in taken}
            lines = _measured(reader, facts, plans, on_progress)
    return Prescan(facts, lines, (), policy)


def _measured(
    reader: AudioReader,
    facts: Mapping[int, StreamFacts],
    plans: Sequence[LinePlan],
    on_progress: Callable[[float], None],
) -> tuple[Line, ...]:
    measured = [_MeasuredLine(plan) for plan in plans]
    for number, (index, frame) in enumerate(_noted(reader, facts)):
        for line in measured:
            line.take(index, frame)
        if number % PROGRESS_EVERY == 0:
            on_progress(float(frame.time or 0))
    return tuple(line.finished() for line in measured)


def _noted(reader: AudioReader, facts: Mapping[int, StreamFacts]) -> Iterator[tuple[int, AudioFrame]]:
    """All frames with their streams' indices, after the facts that they show are noted."""
    for read in reader:
        if read.packet is not None:
            facts[read.index].note_packet(read.packet)
        for frame in read.frames:
            facts[read.index].note_frame(frame)
            yield read.index, frame


class _MeasuredLine:
    """A track on its way into a meter, and nowhere else. It begins with its first audio: silence would be measured."""

    def __init__(self, plan: LinePlan) -> None:
        self._plan = plan
        self._line: AudioLine | None = None
        self._meter = MetricDefinition(plan.rate, plan.layout)

    def take(self, source: int, frame: AudioFrame) -> None:
        if source in self._plan.sources:
            self._line = self._line or self._begun(frame)
            self._measure(self._line.take(source, frame))

    def finished(self) -> Line:
        if self._line is not None:
            self._measure(self._line.finish())
        for _ in self._meter.finish():
            pass
        return Line(self._plan, self._meter.loudness)

    def _begun(self, frame: AudioFrame) -> AudioLine:
        first_s = Fraction(frame.pts or 0) * (frame.time_base or 1)
        return AudioLine(self._plan, first_s - (SKEW_S if len(self._plan.sources) > 1 else 0))

    def _measure(self, frames: Iterable[AudioFrame]) -> None:
        for frame in frames:
            for _ in self._meter.take(frame):
                pass
