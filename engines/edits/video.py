"""The packets of a video stream in the order in which its edit list presents them.

Each edit is read from the keyframe before it. Between two edits comes None: the codec then gives what it still holds
and begins anew, so that what an edit shows does not depend on what was shown before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from engines.containers.demux import PacketReader
from engines.containers.edit_lists import Edit, Edits, edit_at

KeyframeAt = Callable[[int], int | None]

HIDDEN_PTS = -(2**62)  # of packets to be decoded for others that refer to them
_SHORTEST_S = 0.001  # lists count in ticks of the movie, often milliseconds: less is their rounding


def is_hidden(packet: Packet[Stream]) -> bool:
    """Whether a packet's frame is not to be shown: an edit list, ours or FFmpeg's, leaves it out."""
    return packet.is_discard or packet.pts == HIDDEN_PTS


@dataclass(frozen=True, slots=True)
class ReadStart:
    """Where reading begins: in which edit, and at the keyframe with which media time; None: where the edit begins."""

    number: int = 0
    keyframe: int | None = None


class EditedPackets:
    """Iterates over packets with times of the presentation; hidden ones have ``HIDDEN_PTS``.

    Args:
        container: opened so that the demuxer ignores edit lists; nobody else reads it meanwhile.

    Attributes:
        broken_end: the demuxer gave up before the end of the file.
    """

    def __init__(self, container: InputContainer, stream: VideoStream, edits: Edits, start: ReadStart) -> None:
        self._container = container
        self._stream = stream
        self._edits = edits
        self._start = start
        self._shortest = int(_SHORTEST_S / (stream.time_base or 1))
        self.broken_end = False

    def __iter__(self) -> Iterator[Packet[Stream] | None]:
        for number in range(self._start.number, len(self._edits)):
            if number > self._start.number:
                yield None
            begun = self._start.keyframe if number == self._start.number else None
            yield from self._shown(self._edits[number], begun)

    def _shown(self, edit: Edit, keyframe: int | None) -> Iterator[Packet[Stream]]:
        """The packets of one edit; every frame of it is decoded no later than it is shown."""
        for packet in self._from_keyframe(edit.media_start if keyframe is None else keyframe):
            if packet.dts is not None and packet.dts >= edit.media_end:
                return
            self._place(packet, edit)
            yield packet

    def _place(self, packet: Packet[Stream], edit: Edit) -> None:
        """Give a packet its time on the presentation's timeline."""
        pts, duration = packet.pts, packet.duration or 0
        packet.dts = None
        if pts is None or pts >= edit.media_end or not _reaches(pts, duration, edit, self._shortest):
            packet.pts = HIDDEN_PTS
            return
        packet.pts = edit.start + max(0, pts - edit.media_start)
        packet.duration = edit.end - packet.pts if edit.still else min(duration, edit.end - packet.pts)
        if packet.duration < self._shortest:
            packet.pts = HIDDEN_PTS

    def _from_keyframe(self, target: int) -> Iterator[Packet[Stream]]:
        """The packets from the last keyframe on that is shown at or before ``target``; from the first if none is."""
        position = target
        while True:
            packets, first = self._seek(position)
            if first is None:
                return
            if first.dts is None or first.dts >= position or first.pts is None or first.pts <= target:
                yield from chain([first], packets)  # there is none before, or it is the one
                return
            position = first.dts - 1

    def _seek(self, position: int) -> tuple[Iterator[Packet[Stream]], Packet[Stream] | None]:
        try:
            self._container.seek(position, stream=self._stream, backward=True)
        except av.FFmpegError:
            self.broken_end = True
            return iter(()), None
        packets = self._read()
        return packets, next(packets, None)

    def _read(self) -> Iterator[Packet[Stream]]:
        reader = PacketReader(self._container, [self._stream])
        yield from reader
        self.broken_end = self.broken_end or reader.broken_end


def read_start_before(edits: Edits, time: int, keyframes_back: int, keyframe_at: KeyframeAt) -> ReadStart:
    """Where to begin so that ``keyframes_back`` keyframes come before what is presented at ``time``.

    The beginning of an edit counts as a keyframe.

    Args:
        keyframe_at: tells when the last keyframe at or before a media time is shown; None if there is none.
    """
    number = edit_at(edits, time)
    target = edits[number].media_start + max(0, min(time, edits[number].end) - edits[number].start)
    while True:
        edit = edits[number]
        while (shown := keyframe_at(target)) is not None and shown > edit.media_start:
            keyframes_back, target = keyframes_back - 1, shown - 1
            if not keyframes_back:
                return ReadStart(number, shown)
        keyframes_back -= 1
        if not keyframes_back or not number:
            return ReadStart(number)
        number -= 1
        target = edits[number].media_end - 1


def _reaches(pts: int, duration: int, edit: Edit, shortest: int) -> bool:
    """Whether a frame is shown when an edit begins, or later."""
    return pts >= edit.media_start or pts + duration > edit.media_start + shortest
