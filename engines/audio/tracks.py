"""The audio streams of the result: copied packets, or audio encoded to AAC."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

import av
from av.audio.frame import AudioFrame
from av.audio.layout import AudioLayout
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream

from engines.audio.facts import StreamFacts
from engines.audio.loudness import LoudnessMeter
from engines.audio.mixer import TrackMixer
from engines.audio.outcome import AudioStreamOutcome
from engines.audio.prescan import PlannedTrack
from engines.containers.streams import codec_name
from engines.metadata.tags import copy_track_metadata

AAC_BITS_PER_CHANNEL = 96_000
MIX_NAME = "All microphones"


class CopyTrack:
    """Passes packets on unchanged, on a shifted timeline whose decoding times strictly rise."""

    def __init__(
        self, source: AudioStream, facts: StreamFacts, planned: PlannedTrack, output: OutputContainer, origin: Fraction
    ) -> None:
        self._target: Stream = output.add_stream_from_template(source)
        copy_track_metadata(source, self._target)
        ticks = source.time_base or Fraction(1)
        self._shift = round(origin / ticks)
        self._first_pts = round((facts.copy_from_s or origin) / ticks) if facts.drops_priming else None
        self._last_dts: int | None = None
        name, layout = codec_name(source), facts.formats[0][0]
        self.outcome = AudioStreamOutcome(
            source.index, name, "copied", name, sources=(source.index,),
            channels=AudioLayout(layout).nb_channels, layout=layout, rule="kept", loudness=planned.loudness,
        )  # fmt: skip

    def take(self, packet: Packet[Stream]) -> list[Packet[Stream]]:
        """Return the packet for the output; the given packet is changed in place."""
        if packet.is_corrupt or packet.size == 0 or packet.pts is None:
            self.outcome.skipped_packets += 1
            return []
        if self._first_pts is not None and packet.pts < self._first_pts:
            return []  # the codec's priming
        packet.pts -= self._shift
        packet.dts = packet.pts
        if self._last_dts is not None and packet.dts <= self._last_dts:
            self.outcome.skipped_packets += 1
            return []
        self._last_dts = packet.dts
        packet.stream = self._target
        self.outcome.packets += 1
        return [packet]


class EncodedTrack:
    """Encodes the audio of a planned track to AAC.

    The encoder's priming packets are left out, so that all players play its first packet at 0; that packet fades in.
    """

    def __init__(
        self, planned: PlannedTrack, source: AudioStream, output: OutputContainer, origin: Fraction,
        *, target_lufs: float | None, reason: str,
    ) -> None:  # fmt: skip
        plan = planned.plan
        self.sources = plan.sources
        self._mixer = TrackMixer(plan, origin, scale=10 ** (planned.gain_db / 20))
        level = planned.loudness.turned(planned.gain_db) if planned.loudness else None
        self._meter: LoudnessMeter | None = None
        if level and target_lufs is not None:
            self._meter = LoudnessMeter(plan.rate, plan.layout, target_lufs=target_lufs, source=level)
        self._target = output.add_stream("aac", rate=plan.rate)
        self._target.codec_context.layout = plan.layout
        channels = self._target.codec_context.channels
        self._target.codec_context.bit_rate = AAC_BITS_PER_CHANNEL * channels
        copy_track_metadata(source, self._target)
        if len(plan.sources) > 1:
            self._target.metadata["title"] = MIX_NAME
        self._has_begun = False
        self.outcome = AudioStreamOutcome(
            source.index, codec_name(source), "transcoded", "aac", sources=plan.sources, channels=channels,
            layout=plan.layout, rule=plan.rule, gain_db=planned.gain_db if plan.is_mix else None, reason=reason,
            loudness=level,
        )  # fmt: skip

    def take(self, source: int, frames: Iterable[AudioFrame]) -> list[Packet[Stream]]:
        refused_before = self._mixer.refused
        packets = [p for frame in frames for placed in self._mixer.take(source, frame) for p in self._levelled(placed)]
        self.outcome.skipped_packets += self._mixer.refused - refused_before
        return packets

    def finish(self) -> list[Packet[Stream]]:
        packets = [p for frame in self._mixer.finish() for p in self._levelled(frame)]
        if self._meter:
            packets += [p for frame in self._meter.finish() for p in self._encoded(frame)]
            self.outcome.loudness = self._meter.loudness
        return packets + self._encoded(None) if self._has_begun else packets

    def _levelled(self, frame: AudioFrame) -> list[Packet[Stream]]:
        frames = self._meter.take(frame) if self._meter else (frame,)
        return [p for out in frames for p in self._encoded(out)]

    def _encoded(self, frame: AudioFrame | None) -> list[Packet[Stream]]:
        self._has_begun = True
        try:
            packets = [p for p in self._target.encode(frame) if p.pts is not None and p.pts >= 0]
        except av.FFmpegError:  # samples that are NaN
            self.outcome.skipped_packets += 1
            return []
        self.outcome.packets += len(packets)
        return packets
