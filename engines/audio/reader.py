"""The audio of a recording, decoded, in the order of the file or, where edit lists cut it, in that of time."""

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
# other tracks were moved for it; halfway between, neither error is heard.
UNKNOWN_RUN_IN_S = Fraction(1, 100)


@dataclass(slots=True)
class Read:
    """What comes of one stream at a time.

    Attributes:
        index: of the stream.
        packet: None for what a codec still held, and where edit lists cut the audio.
        frames: what it decodes to.
        refused: how many packets were refused by the codec.
    """

    index: int
    packet: Packet[Stream] | None = None
    frames: list[AudioFrame] = field(default_factory=list)
    refused: int = 0


class AudioReader:
    """Reads and decodes some audio streams; iterating raises OSError where the storage fails.

    Args:
        path: the file; ``container`` is that, opened for this purpose alone.
        decoded: indices of the streams that are decoded; of the others there are packets only.

    Attributes:
        is_edited: edit lists cut the audio, so that there are frames only.
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

    def __iter__(self) -> Iterator[Read]:
        return self._heard() if self.is_edited else self._read()

    def _read(self) -> Iterator[Read]:
        for packet in PacketReader(self._container, list(self._streams.values())):
            index = packet.stream_index
            yield self._decode(index, packet) if index in self._decoded else Read(index, packet)
        for index in self._streams:
            if index in self._decoded:
                yield self._decode(index, None)

    def _decode(self, index: int, packet: Packet[Stream] | None) -> Read:
        try:
            frames = decode(self._streams[index], packet)
            return Read(index, packet, [frame for frame in frames if frame.samples > 0 and frame.sample_rate > 0])
        except (av.FFmpegError, ValueError):
            return Read(index, packet, refused=int(packet is not None))

    def _heard(self) -> Iterator[Read]:
        """Of each stream what its edits let be heard, those of all streams in order of time."""
        streams = (self._cut(index, self._edited[index]) for index in self._streams)
        for _, index, frame in heapq.merge(*streams, key=lambda heard: heard[:2]):
            yield Read(index, None, [frame])
        for index in self._streams:
            yield Read(index, refused=self._edited[index].skipped_packets)

    def _cut(self, index: int, audio: EditedAudio) -> Iterator[tuple[float, int, AudioFrame]]:
        late = self._is_late(self._streams[index])
        for frame in audio.frames():
            if late and frame.pts is not None:
                frame.pts -= round(UNKNOWN_RUN_IN_S * frame.sample_rate)
            yield frame.time or 0.0, index, frame

    def _is_late(self, stream: AudioStream) -> bool:
        edits = self._lists.of(stream.id)
        return stream.codec_context.codec.canonical_name == "aac" and bool(edits) and edits[0].media_start == 0
