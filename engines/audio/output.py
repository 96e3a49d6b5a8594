"""Audio packets of the finished file: copied where every player plays them in MP4, everything else as AAC."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import cast

from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream

from engines.audio.outcome import AudioOutcome, AudioStreamOutcome
from engines.audio.prescan import PlannedTrack, Prescan
from engines.audio.reader import AudioReader, DecodedPacket
from engines.audio.tracks import CopyTrack, EncodedTrack
from engines.containers.streams import codec_name
from engines.containers.survey import Span, StreamSurvey

MIXED = "several microphones are mixed"


class AudioOutput:
    """Reads all audio streams of the source and yields the packets of the output, in order of time.

    Args:
        path: the source; ``container`` is the same file, opened for this purpose alone.
        scan: what ``prescan`` returned for it.
        output: gets one stream per track; create this object before anything is muxed.
        origin: seconds that are subtracted from every timestamp.
    """

    def __init__(
        self, path: Path, container: InputContainer, scan: Prescan, output: OutputContainer, origin: Fraction
    ) -> None:
        self._path = path
        self._container = container
        self._scan = scan
        self._origin = origin
        self._tracks: list[CopyTrack | EncodedTrack] = []
        self._copied: dict[int, CopyTrack] = {}
        self._encoded: list[EncodedTrack] = []
        self._surveys = {index: StreamSurvey(float(origin)) for index in scan.facts}
        self._dropped = [AudioStreamOutcome(i, codec_name(self._stream(i)), "dropped") for i in scan.dropped]
        for planned in scan.tracks:
            self._add(planned, output)

    @property
    def outcome(self) -> AudioOutcome:
        return AudioOutcome((*(track.outcome for track in self._tracks), *self._dropped), read=self._surveys)

    def packets(self) -> Iterator[tuple[Fraction, Packet[Stream]]]:
        """Yield (decoding time in seconds, packet) for the output; damaged packets are left out and counted."""
        if not self._tracks:
            return
        decoded = {source for track in self._encoded for source in track.sources}
        streams = [self._stream(index) for index in self._surveys]
        for item in AudioReader(self._path, self._container, streams, decoded):
            yield from _timed(self._process(item))
        remaining = [_timed(track.finish()) for track in self._encoded]
        yield from heapq.merge(*remaining, key=lambda timed: timed[0])

    def _add(self, planned: PlannedTrack, output: OutputContainer) -> None:
        index, is_mix = planned.plan.sources[0], len(planned.plan.sources) > 1
        stream, facts = self._stream(index), self._scan.facts[index]
        reason = MIXED if is_mix else self._scan.policy.refusal(stream) or facts.copy_refusal(self._origin)
        if reason is None:
            self._copied[index] = CopyTrack(stream, facts, planned, output, self._origin)
            self._tracks.append(self._copied[index])
        else:
            target_lufs = self._scan.policy.loudness_lufs
            track = EncodedTrack(planned, stream, output, self._origin, target_lufs=target_lufs, reason=reason)
            self._encoded.append(track)
            self._tracks.append(track)

    def _stream(self, index: int) -> AudioStream:
        return cast(AudioStream, self._container.streams[index])

    def _process(self, item: DecodedPacket) -> list[Packet[Stream]]:
        """Return the output packets of one source packet; record the time of a skipped one."""
        survey, skipped_before = self._surveys[item.index], self._skipped(item.index)
        span = self._record_time(survey, item)
        packets: list[Packet[Stream]] = []
        for track in self._encoded:
            packets += track.take(item.index, item.frames) if item.index in track.sources else []
            track.outcome.skipped_packets += item.refused if track.sources == (item.index,) else 0
        if item.packet is not None and item.index in self._copied:
            packets += self._copied[item.index].take(item.packet)
        if self._skipped(item.index) > skipped_before:
            survey.add_lost(span)
        return packets

    def _record_time(self, survey: StreamSurvey, item: DecodedPacket) -> Span:
        """Record the time of a packet, or of the frames that an edit list presents; return it."""
        if item.packet is not None:
            span = survey.span(item.packet)
            survey.add(item.packet)
            return span
        for frame in item.frames if self._scan.facts[item.index].is_edited else ():
            begin_s = (frame.time or 0.0) - float(self._origin)
            survey.add_span(begin_s, begin_s + frame.samples / frame.sample_rate)
        return survey.end_s or 0.0, survey.end_s or 0.0

    def _skipped(self, index: int) -> int:
        return sum(track.outcome.skipped_packets for track in self._tracks if track.outcome.index == index)


def _timed(packets: list[Packet[Stream]]) -> Iterator[tuple[Fraction, Packet[Stream]]]:
    for packet in packets:
        yield (packet.dts or 0) * packet.time_base, packet
