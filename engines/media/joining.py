"""Join the parts of one recording into one file; no frame and no audio is decoded or encoded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import IO

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream

from engines.containers.demux import PacketReader, open_media
from engines.errors import MediaError
from engines.media.split_recording import STREAMED, joined_streams
from engines.video.stream_choice import choose_video

_CHUNK_BYTES = 1 << 20
_TICK_PACKETS = 256


class PartsDifferError(MediaError):
    """The parts cannot be joined without decoding them."""

    code = "PARTS_DIFFER"
    remedy = "Process the parts one by one."


def join(parts: list[Path], target: IO[bytes], tick: Callable[[float], None]) -> None:
    """Write all parts as one recording.

    MPEG streams continue from part to part as bytes, so their bytes are concatenated: even a frame that was cut in two
    is whole again. Others are remuxed into a MOV; each part starts where the video before it ends.

    Args:
        target: an empty file, open for writing and seeking.
        tick: called from time to time with the share that is done, 0 to 1; its exceptions pass through.

    Raises:
        PartsDifferError: the parts do not fit together.
        MediaError: a part cannot be read.
        OSError: the storage failed.
    """
    with open_media(parts[0]) as first:
        is_streamed = first.format.name in STREAMED
    if is_streamed:
        _concatenate(parts, target, tick)
    else:
        _Remux(parts, target, tick).run()


def _concatenate(parts: list[Path], target: IO[bytes], tick: Callable[[float], None]) -> None:
    total, done = sum(part.stat().st_size for part in parts), 0
    for part in parts:
        with part.open("rb", buffering=0) as source:
            while chunk := source.read(_CHUNK_BYTES):
                target.write(chunk)
                done += len(chunk)
                tick(done / max(total, 1))


class _Remux:
    """Copies packets; times are exact, because every track keeps its time base."""

    def __init__(self, parts: list[Path], target: IO[bytes], tick: Callable[[float], None]) -> None:
        self._parts = parts
        self._target = target
        self._tick = tick
        self._total = sum(part.stat().st_size for part in parts)
        self._done = 0
        self._at = Fraction(0)  # start of the next part
        self._ends: list[Fraction | None] = []  # end of each track so far
        self._joint: list[Fraction | None] = []  # end of each track at the start of the current part

    def run(self) -> None:
        options = {"fflags": "+bitexact"}  # the same parts give the same bytes, so that a job can resume with them
        with av.open(self._target, "w", format="mov", options=options) as out:
            for number, part in enumerate(self._parts):
                with open_media(part) as source:
                    if number == 0:
                        self._begin(out, source)
                    self._copy(out, source, choose_video(source, part).stream, is_first=number == 0)
                self._done += part.stat().st_size

    def _begin(self, out: OutputContainer, source: InputContainer) -> None:
        out.metadata.update(source.metadata)
        for stream in joined_streams(source):
            track = out.add_stream_from_template(stream)
            track.time_base = stream.time_base
            track.metadata.update(stream.metadata)
            self._ends.append(None)

    def _copy(self, out: OutputContainer, source: InputContainer, video: Stream, *, is_first: bool) -> None:
        streams = joined_streams(source)
        if len(streams) != len(self._ends):
            raise PartsDifferError("The parts of the recording do not hold the same streams.")
        shift = Fraction(0) if is_first else self._at - _start(video)
        self._joint = list(self._ends)
        end = self._at
        for packet in self._packets(source, streams):
            track = streams.index(packet.stream)
            end_of_packet = self._mux(out, packet, track, shift)
            if streams[track] is video and end_of_packet is not None:
                end = max(end, end_of_packet)
        self._at = end

    def _packets(self, source: InputContainer, streams: list[Stream]) -> Iterator[Packet[Stream]]:
        for number, packet in enumerate(PacketReader(source, streams)):
            yield packet
            if number % _TICK_PACKETS == 0:
                self._tick((self._done + (packet.pos or 0)) / max(self._total, 1))

    def _mux(self, out: OutputContainer, packet: Packet[Stream], track: int, shift: Fraction) -> Fraction | None:
        """Copy one packet; return the end of its presentation, None if it is left out.

        Audio of two parts may overlap by less than a packet, because it is cut at packets. A packet that overlaps by
        more than half is left out, so that audio is never off by more than that (11 ms of AAC).
        """
        if packet.pts is None or packet.dts is None:
            raise PartsDifferError("A part of the recording has packets without time stamps.")
        base = packet.time_base
        begin, length = packet.pts * base + shift, (packet.duration or 0) * base
        joint, before = self._joint[track], self._ends[track]
        if packet.stream.type == "audio" and joint is not None and begin < joint - length / 2:
            return None
        end = begin + length
        packet.pts += round(shift / base)
        packet.dts += round(shift / base)
        packet.stream = out.streams[track]
        self._ends[track] = end if before is None else max(before, end)
        try:
            out.mux(packet)
        except av.FFmpegError as error:
            raise PartsDifferError(f"The parts of the recording do not fit together ({error.strerror}).") from error
        return end


def _start(video: Stream) -> Fraction:
    return (video.start_time or 0) * (video.time_base or Fraction(0))
