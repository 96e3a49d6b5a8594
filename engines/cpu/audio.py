"""Sound for the finished file: packets copied where every player plays them in MP4, everything else as AAC."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from fractions import Fraction
from typing import cast

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream

from engines.cpu.audio_outcome import AudioOutcome, AudioStreamOutcome
from engines.cpu.audio_policy import codec_name
from engines.cpu.audio_prescan import Line, Prescan
from engines.cpu.audio_tracks import CopyTrack, EncodedTrack
from engines.cpu.container import PacketReader
from engines.cpu.survey import StreamSurvey

MIXED = "several microphones are mixed"


class AudioPump:
    """Reads all audio streams of the source and gives their packets for the output, in order of time.

    Args:
        container: the source, opened for this purpose alone.
        found: what ``prescan`` said about its sound.
        output: gets one stream per track; create the pump before anything is muxed.
        origin: seconds that are taken off every timestamp.
    """

    def __init__(
        self, container: InputContainer, found: Prescan, output: OutputContainer, origin: Fraction
    ) -> None:
        self._container = container
        self._found = found
        self._tracks: list[CopyTrack | EncodedTrack] = []
        self._copied: dict[int, CopyTrack] = {}
        self._encoded: list[EncodedTrack] = []
        self._read = {index: StreamSurvey(float(origin)) for index in found.facts}
        self._dropped = [AudioStreamOutcome(i, codec_name(self._stream(i)), "dropped") for i in found.dropped]
        for line in found.lines:
            self._add(line, output, origin)
        self._decoded = {source for track in self._encoded for source in track.sources}

    @property
    def outcome(self) -> AudioOutcome:
        return AudioOutcome((*(track.outcome for track in self._tracks), *self._dropped), read=self._read)

    def packets(self) -> Iterator[tuple[Fraction, Packet[Stream]]]:
        """(decoding time in seconds, packet) for the output; damaged packets are left out and counted."""
        if not self._tracks:
            return
        for packet in PacketReader(self._container, [self._stream(index) for index in self._read]):
            yield from _timed(self._taken(packet))
        for index in self._decoded:
            yield from _timed(self._encode(index, self._decode(index, None)))
        rests = [_timed(track.finish()) for track in self._encoded]
        yield from heapq.merge(*rests, key=lambda timed: timed[0])

    def _add(self, line: Line, output: OutputContainer, origin: Fraction) -> None:
        index, is_mix = line.plan.sources[0], len(line.plan.sources) > 1
        stream, facts = self._stream(index), self._found.facts[index]
        reason = MIXED if is_mix else self._found.policy.refusal(stream) or facts.copy_refusal(origin)
        if reason is None:
            self._copied[index] = CopyTrack(stream, facts, line, output, origin)
            self._tracks.append(self._copied[index])
        else:
            target_lufs = self._found.policy.loudness_lufs
            self._encoded.append(EncodedTrack(line, stream, output, origin, target_lufs=target_lufs, reason=reason))
            self._tracks.append(self._encoded[-1])

    def _stream(self, index: int) -> AudioStream:
        return cast(AudioStream, self._container.streams[index])

    def _taken(self, packet: Packet[Stream]) -> list[Packet[Stream]]:
        """What becomes of a packet; where it was skipped, its time is noted."""
        index, read = packet.stream_index, self._read[packet.stream_index]
        span, skipped_before = read.span(packet), self._skipped(index)
        read.add(packet)
        taken = self._encode(index, self._decode(index, packet)) if index in self._decoded else []
        if index in self._copied:
            taken += self._copied[index].take(packet)
        if skipped := self._skipped(index) - skipped_before:
            read.lose(skipped, span)
        return taken

    def _decode(self, index: int, packet: Packet[Stream] | None) -> list[AudioFrame]:
        try:
            return self._stream(index).decode(packet)
        except (av.FFmpegError, ValueError):
            for track in self._encoded:
                track.outcome.skipped_packets += packet is not None and track.sources == (index,)
            return []

    def _encode(self, index: int, frames: list[AudioFrame]) -> list[Packet[Stream]]:
        return [p for track in self._encoded if index in track.sources for p in track.take(index, frames)]

    def _skipped(self, index: int) -> int:
        return sum(track.outcome.skipped_packets for track in self._tracks if track.outcome.index == index)


def _timed(packets: list[Packet[Stream]]) -> Iterator[tuple[Fraction, Packet[Stream]]]:
    for packet in packets:
        yield (packet.dts or 0) * packet.time_base, packet
