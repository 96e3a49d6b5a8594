"""Which audio tracks the result has, and which streams, channels and rate each of them takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from av.audio.layout import AudioLayout
from av.audio.stream import AudioStream
from av.stream import Disposition

from engines.audio.channel_mapping import channel_plan
from engines.audio.facts import Format, StreamFacts
from engines.audio.mixer import LinePlan, LineRule
from engines.audio.policy import AudioPolicy
from engines.containers.channel_layouts import Labels

AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)


def plan_lines(
    streams: Sequence[AudioStream],
    labels: Mapping[int, Labels | None],
    known: Mapping[int, StreamFacts],
    policy: AudioPolicy,
) -> list[LinePlan]:
    """The tracks of the result: a mix first where the recording is several microphones, then one for each stream.

    Args:
        labels: by stream, what the file says of its channels.
        known: by stream, what is known better than from the header.
    """
    singles = [_plan_line(stream, labels.get(stream.index), known.get(stream.index), policy) for stream in streams]
    together = _microphones(streams)
    if len(together) < 2:
        return singles
    rate = max(plan.rate for plan in singles if plan.sources[0] in together)
    return [LinePlan(together, rate, "stereo", "mixed", labels=(None,) * len(together)), *singles]


def _plan_line(stream: AudioStream, labels: Labels | None, facts: StreamFacts | None, policy: AudioPolicy) -> LinePlan:
    """Where a stream changes midway, it becomes stereo at its highest rate."""
    context = stream.codec_context
    of_header = context.layout.name, context.channels, context.sample_rate
    formats = facts.formats if facts and facts.formats else [of_header]
    is_microphone = bool(facts and facts.is_microphone)
    changes = len({layout for layout, _, _ in formats}) > 1
    plan = channel_plan(_layout(formats[0]), labels, stereo=policy.stereo or changes, lfe_is_microphone=is_microphone)
    rule: LineRule = "positions" if changes and plan.rule == "kept" else plan.rule
    microphones = frozenset({stream.index}) if is_microphone else frozenset()
    rate = _aac_rate(max(rate for _, _, rate in formats))
    return LinePlan((stream.index,), rate, plan.layout, rule, microphones, (labels,))


def _layout(form: Format) -> AudioLayout:
    """Some layouts have a name that cannot be read back."""
    name, channels, _ = form
    try:
        return AudioLayout(name)
    except ValueError:
        return AudioLayout(f"{max(1, channels)} channels")  # none: the header does not say


def _microphones(streams: Sequence[AudioStream]) -> tuple[int, ...]:
    """The streams that are one microphone each: mono, all of one language, and the first of the file among them."""
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
