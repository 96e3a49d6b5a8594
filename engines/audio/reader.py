"""Decode the audio of a recording, in file order or, where edit lists cut it, in order of time."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from engines.containers.channel_layouts import decode
from engines.containers.demux import PacketReader
from engines.containers.edit_lists import read_edit_lists
from engines.edits.audio import EditedAudio, edited_audio

# AAC begins with a run-in. A list of several edits that starts with the very first packet does not say whether the
# other tracks were moved for it; halfway between, neither error is audible.
UNKNOWN_RUN_IN_S = Fraction(1, 100)


@dataclass(slots=True)
class DecodedPacket:
    """One packet of a stream, and its decoded frames.

    Attributes:
        index: of the stream.
        packet: None for frames that the codec gives at the end, and where edit lists cut the audio.
        refused: number of packets that the codec refused.
    """

    index: int
    packet: Packet[Stream] | None = None
    frames: list[AudioFrame] = field(default_factory=list)
    refused: int = 0


class AudioReader:
    """Reads and decodes some audio streams; iterating raises OSError where the storage fails.

    Args:
        path: the file; ``container`` is the same file, opened for this purpose alone.
        decoded: indices of the streams to decode; the others yield packets only.

    Attributes:
        is_edited: whether edit lists cut the audio; then it yields frames without packets.
    """

    def __init__(
        self, path: Path, container: InputContainer, streams: Sequence[AudioStream], decoded: Collection[int]
    ) -> None:
        self._container = container
        self._streams = {stream.index: stream for stream in streams}
        self._decoded = decoded
        self._lists = read_edit_lists(path)
        self._edited = edited_audio(path, container, self._lists)
        self.is_edited = bool(self._edited)

    def __iter__(self) -> Iterator[DecodedPacket]:
        return self._edited_frames() if self.is_edited else self._read()

    def _read(self) -> Iterator[DecodedPacket]:
        for packet in PacketReader(self._container, list(self._streams.values())):
            index = packet.stream_index
            yield self._decode(index, packet) if index in self._decoded else DecodedPacket(index, packet)
        for index in self._streams:
            if index in self._decoded:
                yield self._decode(index, None)

    def _decode(self, index: int, packet: Packet[Stream] | None) -> DecodedPacket:
        try:
            frames = [f for f in decode(self._streams[index], packet) if f.samples > 0 and f.sample_rate > 0]
            return DecodedPacket(index, packet, frames)
        except (av.FFmpegError, ValueError):
            return DecodedPacket(index, packet, refused=int(packet is not None))

    def _edited_frames(self) -> Iterator[DecodedPacket]:
        """Yield the frames that each stream's edits present, of all streams in order of time."""
        streams = (self._cut(index, self._edited[index]) for index in self._streams)
        for _, index, frame in heapq.merge(*streams, key=lambda timed: timed[:2]):
            yield DecodedPacket(index, None, [frame])
        for index in self._streams:
            yield DecodedPacket(index, refused=self._edited[index].skipped_packets)

    def _cut(self, index: int, audio: EditedAudio) -> Iterator[tuple[float, int, AudioFrame]]:
        late = self._is_late(self._streams[index])
        for frame in audio.frames():
            if late and frame.pts is not None:
                frame.pts -= round(UNKNOWN_RUN_IN_S * frame.sample_rate)
            yield frame.time or 0.0, index, frame

    def _is_late(self, stream: AudioStream) -> bool:
        edits = self._lists.of(stream.id)
        return stream.codec_context.codec.canonical_name == "aac" and bool(edits) and edits[0].media_start == 0
