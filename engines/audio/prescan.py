"""Decode all audio once, before anything is written, to decide how each stream is delivered and how loud it is.

Headers do not show whether a stream changes midway, has gaps or edits, has only bass in the channel that it names LFE,
or clips when it is mixed. Decoding everything shows it. That takes about 20 CPU seconds for an hour of stereo AAC, half
of them for the loudness, which is reported in any case.
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
from engines.audio.loudness import Loudness, LoudnessMeter
from engines.audio.mixer import TrackMixer
from engines.audio.policy import AudioPolicy
from engines.audio.reader import AudioReader
from engines.audio.track_plan import TrackPlan, plan_tracks
from engines.containers.demux import open_media
from engines.containers.streams import codec_name
from engines.frames import AudioInfo

MAX_SOURCES = 64  # professional recordings have up to 32; the muxer's memory grows with each
MIX_PEAK_DBTP = -1.0  # highest true peak of a mix
SKEW_S = Fraction(1, 2)  # a stream of a mix may begin this much before the one that comes first in the file
PROGRESS_EVERY = 512


@dataclass(frozen=True, slots=True)
class PlannedTrack:
    """A track of the result, and its loudness before any change of its level."""

    plan: TrackPlan
    loudness: Loudness | None

    @property
    def gain_db(self) -> float:
        """The gain that keeps a mix from clipping, at most 0."""
        if not self.plan.is_mix or self.loudness is None:
            return 0.0
        return min(0.0, round(MIX_PEAK_DBTP - self.loudness.true_peak_dbtp, 2))


@dataclass(frozen=True, slots=True)
class Prescan:
    """The results of decoding all audio of a recording.

    Attributes:
        facts: by the stream's index.
        tracks: the tracks of the result, in order.
        dropped: streams in no track: there is no decoder, or there are too many streams.
        policy: the audio settings of the job.
    """

    facts: Mapping[int, StreamFacts]
    tracks: tuple[PlannedTrack, ...]
    dropped: tuple[int, ...]
    policy: AudioPolicy

    def starts_s(self) -> list[Fraction]:
        """Return when the first sample of each stream plays, in seconds of the source's clock."""
        return [facts.starts_s for facts in self.facts.values() if facts.starts_s is not None]


def prescan(
    path: Path, audio: Sequence[AudioInfo], policy: AudioPolicy, on_progress: Callable[[float], None] = lambda _: None
) -> Prescan:
    """Decode all audio and decide which tracks the result has.

    Args:
        audio: the audio streams, as ``probe`` describes them.
        on_progress: called from time to time with the position in seconds; its exceptions pass through.

    Raises:
        MediaError: the file cannot be opened.
        OSError: the storage failed.
    """
    facts: Mapping[int, StreamFacts] = {}
    tracks: tuple[PlannedTrack, ...] = ()
    labels = {stream.index: stream.channel_labels for stream in audio}
    while audio:  # first with the headers' parameters, then again if decoding shows others
        with open_media(path) as container:
            streams = [cast(AudioStream, container.streams[info.index]) for info in audio]
            taken = [s for s in streams if s.codec_context is not None and s.codec_context.sample_rate][:MAX_SOURCES]
            plans = plan_tracks(taken, labels, facts, policy)
            if not taken or [track.plan for track in tracks] == plans:
                return Prescan(facts, tracks, tuple(s.index for s in streams if s not in taken), policy)
            reader = AudioReader(path, container, taken, labels)
            facts = {s.index: StreamFacts(codec_name(s), labels[s.index], reader.is_edited) for s in taken}
            tracks = _measure_tracks(reader, facts, plans, on_progress)
    return Prescan(facts, tracks, (), policy)


def _measure_tracks(
    reader: AudioReader,
    facts: Mapping[int, StreamFacts],
    plans: Sequence[TrackPlan],
    on_progress: Callable[[float], None],
) -> tuple[PlannedTrack, ...]:
    measured = [_MeasuredTrack(plan) for plan in plans]
    for number, (index, frame) in enumerate(_noted_frames(reader, facts)):
        for track in measured:
            track.take(index, frame)
        if number % PROGRESS_EVERY == 0:
            on_progress(float(frame.time or 0))
    return tuple(track.finish() for track in measured)


def _noted_frames(reader: AudioReader, facts: Mapping[int, StreamFacts]) -> Iterator[tuple[int, AudioFrame]]:
    """Yield all frames with their streams' indices, and record the facts that they show."""
    for decoded in reader:
        if decoded.packet is not None:
            facts[decoded.index].note_packet(decoded.packet)
        for frame in decoded.frames:
            facts[decoded.index].note_frame(frame)
            yield decoded.index, frame


class _MeasuredTrack:
    """A track that is only measured. It starts with its first audio: silence before it would be measured too."""

    def __init__(self, plan: TrackPlan) -> None:
        self._plan = plan
        self._mixer: TrackMixer | None = None
        self._meter = LoudnessMeter(plan.rate, plan.layout)

    def take(self, source: int, frame: AudioFrame) -> None:
        if source in self._plan.sources:
            self._mixer = self._mixer or self._start_mixer(frame)
            self._measure(self._mixer.take(source, frame))

    def finish(self) -> PlannedTrack:
        if self._mixer is not None:
            self._measure(self._mixer.finish())
        for _ in self._meter.finish():
            pass
        return PlannedTrack(self._plan, self._meter.loudness)

    def _start_mixer(self, frame: AudioFrame) -> TrackMixer:
        first_s = Fraction(frame.pts or 0) * (frame.time_base or 1)
        return TrackMixer(self._plan, first_s - (SKEW_S if len(self._plan.sources) > 1 else 0))

    def _measure(self, frames: Iterable[AudioFrame]) -> None:
        for frame in frames:
            for _ in self._meter.take(frame):
                pass
