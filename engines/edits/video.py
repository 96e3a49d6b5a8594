"""Read the packets of a video stream in the order in which its edit list presents them.

Each edit is read from the keyframe before it. Between two edits comes None, for which the codec is flushed, so that the
frames of an edit do not depend on those before.
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

HIDDEN_PTS = -(2**62)  # of packets that are decoded only as references for others
_SHORTEST_S = 0.001  # lists count in ticks of the movie, often milliseconds: shorter times are rounding


def is_hidden(packet: Packet[Stream]) -> bool:
    """Return whether an edit list, applied here or by FFmpeg, hides a packet's frame."""
    return packet.is_discard or packet.pts == HIDDEN_PTS


@dataclass(frozen=True, slots=True)
class ReadStart:
    """Where reading starts: the number of the edit, and the keyframe's media time; None: at the start of the edit."""

    number: int = 0
    keyframe: int | None = None


class EditedPackets:
    """Iterates over packets with times of the presentation; hidden ones have ``HIDDEN_PTS``.

    Args:
        container: opened so that the demuxer ignores edit lists; no other reader may use it.

    Attributes:
        broken_end: whether the demuxer stopped before the end of the file.
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
        """Yield the packets of one edit, with each frame's packet before its presentation."""
        for packet in self._from_keyframe(edit.media_start if keyframe is None else keyframe):
            if packet.dts is not None and packet.dts >= edit.media_end:
                return
            self._set_time(packet, edit)
            yield packet

    def _set_time(self, packet: Packet[Stream], edit: Edit) -> None:
        """Set a packet's time on the presentation's timeline."""
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
        """Yield packets from the last keyframe shown at or before ``target``, or else from the first packet."""
        position = target
        while True:
            packets, first = self._seek(position)
            if first is None:
                return
            if first.dts is None or first.dts >= position or first.pts is None or first.pts <= target:
                yield from chain([first], packets)  # no earlier keyframe, or the right one
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
    """Return where to start so that ``keyframes_back`` keyframes precede the frame presented at ``time``.

    The start of an edit counts as a keyframe.

    Args:
        keyframe_at: returns when the last keyframe at or before a media time is shown; None if there is none.
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
    """Return whether a frame is shown at the start of an edit, or later."""
    return pts >= edit.media_start or pts + duration > edit.media_start + shortest
