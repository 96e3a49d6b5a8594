"""Audio for the finished file: packets copied where every player plays them in MP4, everything else as AAC."""

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
from engines.audio.policy import codec_name
from engines.audio.prescan import Line, Prescan
from engines.audio.reader import AudioReader, Read
from engines.audio.tracks import CopyTrack, EncodedTrack
from engines.containers.survey import Span, StreamSurvey

MIXED = "several microphones are mixed"


class AudioPump:
    """Reads all audio streams of the source and gives their packets for the output, in order of time.

    Args:
        path: the source; ``container`` is that, opened for this purpose alone.
        found: what ``prescan`` said about its audio.
        output: gets one stream per track; create the pump before anything is muxed.
        origin: seconds that are taken off every timestamp.
    """

    def __init__(
        self, path: Path, container: InputContainer, found: Prescan, output: OutputContainer, origin: Fraction
    ) -> None:
        self._path = path
        self._container = container
        self._found = found
        self._origin = origin
        self._tracks: list[CopyTrack | EncodedTrack] = []
        self._copied: dict[int, CopyTrack] = {}
        self._encoded: list[EncodedTrack] = []
        self._read = {index: StreamSurvey(float(origin)) for index in found.facts}
        self._dropped = [AudioStreamOutcome(i, codec_name(self._stream(i)), "dropped") for i in found.dropped]
        for line in found.lines:
            self._add(line, output)

    @property
    def outcome(self) -> AudioOutcome:
        return AudioOutcome((*(track.outcome for track in self._tracks), *self._dropped), read=self._read)

    def packets(self) -> Iterator[tuple[Fraction, Packet[Stream]]]:
        """(decoding time in seconds, packet) for the output; damaged packets are left out and counted."""
        if not self._tracks:
            return
        decoded = {source for track in self._encoded for source in track.sources}
        for read in AudioReader(self._path, self._container, [self._stream(index) for index in self._read], decoded):
            yield from _timed(self._taken(read))
        rests = [_timed(track.finish()) for track in self._encoded]
        yield from heapq.merge(*rests, key=lambda timed: timed[0])

    def _add(self, line: Line, output: OutputContainer) -> None:
        index, is_mix = line.plan.sources[0], len(line.plan.sources) > 1
        stream, facts = self._stream(index), self._found.facts[index]
        reason = MIXED if is_mix else self._found.policy.refusal(stream) or facts.copy_refusal(self._origin)
        if reason is None:
            self._copied[index] = CopyTrack(stream, facts, line, output, self._origin)
            self._tracks.append(self._copied[index])
        else:
            target_lufs = self._found.policy.loudness_lufs
            track = EncodedTrack(line, stream, output, self._origin, target_lufs=target_lufs, reason=reason)
            self._encoded.append(track)
            self._tracks.append(track)

    def _stream(self, index: int) -> AudioStream:
        return cast(AudioStream, self._container.streams[index])

    def _taken(self, read: Read) -> list[Packet[Stream]]:
        """What becomes of a packet and its frames; where it was skipped, its time is noted."""
        survey, skipped_before = self._read[read.index], self._skipped(read.index)
        span = self._note(survey, read)
        taken: list[Packet[Stream]] = []
        for track in self._encoded:
            taken += track.take(read.index, read.frames) if read.index in track.sources else []
            track.outcome.skipped_packets += read.refused if track.sources == (read.index,) else 0
        if read.packet is not None and read.index in self._copied:
            taken += self._copied[read.index].take(read.packet)
        if skipped := self._skipped(read.index) - skipped_before:
            survey.lose(skipped, span)
        return taken

    def _note(self, survey: StreamSurvey, read: Read) -> Span:
        """When a packet is due, or the frame that an edit list lets be heard."""
        if read.packet is not None:
            span = survey.span(read.packet)
            survey.add(read.packet)
            return span
        for frame in read.frames if self._found.facts[read.index].is_edited else ():
            begin_s = (frame.time or 0.0) - float(self._origin)
            survey.note(begin_s, begin_s + frame.samples / frame.sample_rate)
        return survey.end_s or 0.0, survey.end_s or 0.0

    def _skipped(self, index: int) -> int:
        return sum(track.outcome.skipped_packets for track in self._tracks if track.outcome.index == index)


def _timed(packets: list[Packet[Stream]]) -> Iterator[tuple[Fraction, Packet[Stream]]]:
    for packet in packets:
        yield (packet.dts or 0) * packet.time_base, packet
