"""QuickTime files with titles, dates, timecode and text tracks."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
from av.packet import Packet
from av.stream import Stream

from tests.support.synth import Clip

CLIP = Clip(width=160, height=90, frames=60)
MS = Fraction(1, 1000)
HEADER = b"[Script Info]\nScriptType: v4.00+\n[Events]\nFormat: Layer, Start, End, Style, Name, Text\n"


class File:
    """A recording that is written packet by packet, with any other streams beside the video."""

    def __init__(self, path: Path, clip: Clip = CLIP) -> None:
        self.path, self._clip = path, clip
        self.out = av.open(str(path), "w")
        self.video = clip._video_stream(self.out)
        self._packets: list[Packet] = []

    def text(self, codec: str, *cues: tuple[int, int, bytes], language: str = "kor") -> Stream:
        stream = self.out.add_stream(codec)
        if codec != "dvdsub":
            stream.codec_context.subtitle_header = HEADER
        stream.metadata["language"] = language
        stream.time_base = MS
        for start, end, data in cues:
            self.add(stream, data, start, end)
        return stream

    def add(self, stream: Stream, data: bytes, start: int, end: int) -> None:
        packet = Packet(data)
        packet.stream, packet.time_base = stream, MS
        packet.pts = packet.dts = start
        packet.duration = end - start
        self._packets.append(packet)

    def write(self) -> Path:
        with self.out:
            packets = self._clip._frames(self.video) + self._packets
            for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
                self.out.mux(packet)
        return self.path


def texts(path: Path, stream: int = 0) -> list[tuple[int, int, str]]:
    """Start and end in milliseconds, and the text without its styles, of each subtitle."""
    with av.open(str(path)) as container:
        subtitles = container.streams.subtitles[stream]
        packets = [p for p in container.demux(subtitles) if p.size > 2 and p.pts is not None]
    found = []
    for packet in packets:
        data, start = bytes(packet), packet.pts * packet.time_base
        length = int.from_bytes(data[:2], "big")
        found.append(
            (
                round(start * 1000),
                round((start + packet.duration * packet.time_base) * 1000),
                data[2 : 2 + length].decode(),
            )
        )
    return found
