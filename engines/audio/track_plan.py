"""Decide which audio tracks the result has, and the streams, channels and rate of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from av.audio.frame import AudioFrame
from av.audio.layout import AudioLayout
from av.audio.stream import AudioStream
from av.stream import Disposition

from engines.audio.channel_mapping import ChannelMapping, map_channels
from engines.audio.facts import Format, StreamFacts
from engines.audio.policy import AudioPolicy
from engines.containers.channel_layouts import Labels

TrackRule = Literal["kept", "positions", "discrete", "mixed"]

AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)


@dataclass(frozen=True, slots=True)
class TrackPlan:
    """How one track of the result is made.

    Attributes:
        sources: indices of the streams that it contains.
        rate, layout: of the track.
        rule: a name of ``engines.audio.channel_mapping``, or "mixed": all of several mono streams on both sides.
        microphones: the streams whose channel named LFE carries more than bass.
        labels: the channel labels that the file gives, for each of ``sources``.
    """

    sources: tuple[int, ...]
    rate: int
    layout: str
    rule: TrackRule
    microphones: frozenset[int] = frozenset()
    labels: tuple[Labels | None, ...] = (None,)

    @property
    def is_mix(self) -> bool:
        """Whether channels are added, so that the sum may clip."""
        return self.rule != "kept"

    def channels(self, source: int, frame: AudioFrame) -> ChannelMapping:
        """Return how the channels of a frame become those of the track."""
        labels, is_microphone = self.labels[self.sources.index(source)], source in self.microphones
        plan = map_channels(frame.layout, labels, lfe_is_microphone=is_microphone)
        if plan.layout == self.layout:
            return plan
        return map_channels(frame.layout, labels, stereo=True, lfe_is_microphone=is_microphone)


def plan_tracks(
    streams: Sequence[AudioStream],
    labels: Mapping[int, Labels | None],
    known: Mapping[int, StreamFacts],
    policy: AudioPolicy,
) -> list[TrackPlan]:
    """Return the tracks of the result: first a mix if the recording has several microphones, then one for each stream.

    Args:
        labels: by stream, the channel labels that the file gives.
        known: by stream, what decoding has shown; it overrides the header.
    """
    singles = [_plan_track(stream, labels.get(stream.index), known.get(stream.index), policy) for stream in streams]
    together = _microphones(streams)
    if len(together) < 2:
        return singles
    rate = max(plan.rate for plan in singles if plan.sources[0] in together)
    return [TrackPlan(together, rate, "stereo", "mixed", labels=(None,) * len(together)), *singles]


def _plan_track(
    stream: AudioStream, labels: Labels | None, facts: StreamFacts | None, policy: AudioPolicy
) -> TrackPlan:
    """Plan the track of one stream; a stream that changes midway becomes stereo at its highest rate."""
    context = stream.codec_context
    of_header = context.layout.name, context.channels, context.sample_rate
    formats = facts.formats if facts and facts.formats else [of_header]
    is_microphone = bool(facts and facts.is_microphone)
    changes = len({layout for layout, _, _ in formats}) > 1
    plan = map_channels(_layout(formats[0]), labels, stereo=policy.stereo or changes, lfe_is_microphone=is_microphone)
    rule: TrackRule = "positions" if changes and plan.rule == "kept" else plan.rule
    microphones = frozenset({stream.index}) if is_microphone else frozenset()
    rate = _aac_rate(max(rate for _, _, rate in formats))
    return TrackPlan((stream.index,), rate, plan.layout, rule, microphones, (labels,))


def _layout(form: Format) -> AudioLayout:
    """Return a layout by its name; for names that FFmpeg cannot parse, one of the same number of channels."""
    name, channels, _ = form
    try:
        return AudioLayout(name)
    except ValueError:
        return AudioLayout(f"{max(1, channels)} channels")  # 0: the header does not say


def _microphones(streams: Sequence[AudioStream]) -> tuple[int, ...]:
    """Return the streams that are one microphone each: mono, of one language, with the file's first among them."""
    if not streams or streams[0].codec_context.channels != 1:
        return ()
    return tuple(
        stream.index
        for stream in streams
        if stream.codec_context.channels == 1
        and stream.language == streams[0].language
        and not stream.disposition & ~(Disposition.default | Disposition.original)
    )


def _aac_rate(rate: int) -> int:
    return rate if rate in AAC_RATES else 48_000
