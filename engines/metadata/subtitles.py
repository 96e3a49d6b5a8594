"""Convert text subtitles to the form that MP4 holds (3GPP timed text, FFmpeg's "mov_text").

Streams of timed text are copied with their styles. Others are decoded and encoded: italics, bold and line breaks stay.
A timed text track shows one text at a time, so overlapping texts are shown together, one above the other, while they
overlap.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol, TypeAlias, cast

import av
from av.codec.codec import Properties
from av.codec.context import CodecContext
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.subtitles.codeccontext import SubtitleCodecContext
from av.subtitles.stream import SubtitleStream
from av.subtitles.subtitle import AssSubtitle, SubtitleSet

from engines.containers.demux import PacketReader, open_media
from engines.containers.edit_lists import read_edit_lists
from engines.edits.text import edited_texts
from engines.media_warnings import MediaWarning, media_warning
from engines.metadata.tags import copy_track_metadata

MAX_TRACKS = 64
TIME_BASE = Fraction(1, 1000)
UNKNOWN_LENGTH_MS = 4000  # if a container does not give a text's duration
MAX_TEXT_BYTES = 16_384  # the length field of a timed text sample has 16 bits
_CLOSED_CAPTIONS = {"eia_608"}  # closed captions, not text
_EMPTY_SAMPLE_BYTES = 2
_FIELDS_BEFORE_TEXT = 8  # of an event as FFmpeg's decoders give it: ReadOrder to Effect
_EVENT = b"0,0,Default,,0,0,0,,"
_HEADER = (
    b"[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\nFormat: Name, Fontname, Fontsize, PrimaryColour, "
    b"SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, "
    b"BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding\nStyle: Default,Arial,16,&Hffffff,"
    b"&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,1\n\n[Events]\nFormat: Layer, Start, End, Style, Name, "
    b"MarginL, MarginR, MarginV, Effect, Text\n"
)

Timed: TypeAlias = "tuple[Fraction, Packet[Stream]]"


def text_streams(container: InputContainer) -> list[SubtitleStream]:
    """Return the subtitle streams that the output gets."""
    return [stream for stream in container.streams.subtitles if _is_text(stream)][:MAX_TRACKS]


def _is_text(stream: SubtitleStream) -> bool:
    if stream.codec_context is None:
        return False
    codec = stream.codec_context.codec
    return bool(Properties(codec.properties) & Properties.TEXT_SUB) and codec.canonical_name not in _CLOSED_CAPTIONS


class SubtitleOutput:
    """Reads the text subtitles of a source and yields the packets of the output, in order of time.

    Args:
        path: the source, which is read once more; subtitles are scattered between the frames.
        container: the source, open; only its headers are used.
        output: gets one stream per track; create this object before anything is muxed.
        origin: seconds that are subtracted from every time.
    """

    def __init__(self, path: Path, container: InputContainer, output: OutputContainer, origin: Fraction) -> None:
        self._path = path
        self._tracks: dict[int, _Track] = {
            stream.index: (_CopyTrack if _is_timed_text(stream) else _TextTrack)(stream, output, origin)
            for stream in text_streams(container)
        }

    @property
    def is_empty(self) -> bool:
        return not self._tracks

    @property
    def warnings(self) -> tuple[MediaWarning, ...]:
        """Warnings about unreadable texts, complete when the packets are exhausted."""
        return tuple(
            media_warning("SUBTITLES_DAMAGED", stream=index, count=track.lost)
            for index, track in self._tracks.items()
            if track.lost
        )

    def packets(self) -> Iterator[Timed]:
        if not self._tracks:
            return
        lists = read_edit_lists(self._path)
        with open_media(self._path) as container:
            streams = [container.streams[index] for index in self._tracks]
            read = edited_texts(container, streams, lists) if lists.are_complex else PacketReader(container, streams)
            for packet in read:
                if packet.pts is not None:
                    yield from self._ready_until(packet.pts * packet.time_base)
                yield from self._tracks[packet.stream_index].take(packet)
            yield from self._ready_until(float("inf"))

    def _ready_until(self, moment_s: Fraction | float) -> Iterator[Timed]:
        """Return the complete texts of all tracks, so that they are written near the frames of their time."""
        return heapq.merge(*(t.ready_until(moment_s) for t in self._tracks.values()), key=lambda timed: timed[0])


class _Track(Protocol):
    lost: int

    def take(self, packet: Packet[Stream]) -> Iterator[Timed]: ...

    def ready_until(self, moment_s: Fraction | float, /) -> Iterator[Timed]: ...


class _CopyTrack:
    """Copies timed text; what lies before the start of the output is cut off."""

    def __init__(self, source: SubtitleStream, output: OutputContainer, origin: Fraction) -> None:
        self._target: Stream = output.add_stream_from_template(source)
        copy_track_metadata(source, self._target)
        self._shift = round(origin / (source.time_base or TIME_BASE))
        self._last: int | None = None
        self.lost = 0

    def take(self, packet: Packet[Stream]) -> Iterator[Timed]:
        if packet.pts is None or packet.is_corrupt:
            self.lost += 1
            return
        start, end = packet.pts - self._shift, packet.pts - self._shift + (packet.duration or 0)
        start = max(0, start if self._last is None else max(start, self._last + 1))
        if packet.size <= _EMPTY_SAMPLE_BYTES or end <= start:
            return
        self._last = start
        packet.pts = packet.dts = start
        packet.duration = end - start
        packet.stream = self._target
        yield start * packet.time_base, packet

    def ready_until(self, _: Fraction | float, /) -> Iterator[Timed]:
        return iter(())


@dataclass(frozen=True, slots=True)
class Cue:
    """A text with its times in milliseconds."""

    start: int
    end: int
    text: bytes


class CueFlattener:
    """Turns cues that may overlap, in order of their starts, into cues that do not overlap."""

    def __init__(self) -> None:
        self._active: list[Cue] = []
        self._now = 0

    def take(self, cue: Cue) -> Iterator[Cue]:
        """Add a cue; yield complete cues. What lies before 0, or before cues already returned, is cut off."""
        yield from self.ready_until(cue.start)
        if self._active and self._now < cue.start:
            yield self._shown_until(cue.start)
        self._now = max(self._now, cue.start)
        if cue.end > self._now:
            self._active.append(cue)

    def ready_until(self, moment: Fraction | float) -> Iterator[Cue]:
        """Yield the cues that end by ``moment``; no later cue starts before it."""
        while self._active and (end := min(cue.end for cue in self._active)) <= moment:
            yield self._shown_until(end)

    def _shown_until(self, end: int) -> Cue:
        shown = Cue(self._now, end, b"\\N".join(cue.text for cue in self._active))
        self._now = end
        self._active = [cue for cue in self._active if cue.end > end]
        return shown


class _TextTrack:
    """Decodes a text stream and encodes it as timed text."""

    def __init__(self, source: SubtitleStream, output: OutputContainer, origin: Fraction) -> None:
        self._target = output.add_stream("mov_text")
        self._target.codec_context.subtitle_header = _HEADER
        self._target.time_base = TIME_BASE
        copy_track_metadata(source, self._target)
        self._encoder = _encoder()
        self._origin = origin
        self._flat = CueFlattener()
        self.lost = 0

    def take(self, packet: Packet[Stream]) -> Iterator[Timed]:
        text = self._text(packet)
        if text is None or packet.pts is None or len(text) > MAX_TEXT_BYTES:
            self.lost += 1
        elif text:
            start = round((packet.pts * packet.time_base - self._origin) * 1000)
            length = round((packet.duration or 0) * packet.time_base * 1000) or UNKNOWN_LENGTH_MS
            yield from self._encoded(self._flat.take(Cue(start, start + length, text)))

    def ready_until(self, moment_s: Fraction | float) -> Iterator[Timed]:
        """Yield texts that end by a time of the source; no later text starts before it."""
        return self._encoded(self._flat.ready_until((moment_s - self._origin) * 1000))

    def _text(self, packet: Packet[Stream]) -> bytes | None:
        """Return a packet's text with its override tags; None if it cannot be read."""
        try:
            events = cast(SubtitleStream, packet.stream).decode(packet)
        except av.FFmpegError:
            return None
        texts = [event.ass.split(b",", _FIELDS_BEFORE_TEXT)[-1] for event in events if isinstance(event, AssSubtitle)]
        return b"\\N".join(text for text in texts if text)

    def _encoded(self, cues: Iterator[Cue]) -> Iterator[Timed]:
        for cue in cues:
            try:
                yield self._packet(cue)
            except av.FFmpegError:
                self.lost += 1

    def _packet(self, cue: Cue) -> Timed:
        shown = SubtitleSet.create(_EVENT + cue.text, 0, cue.end - cue.start, cue.start * 1000)
        packet: Packet[Stream] = Packet(bytes(self._encoder.encode_subtitle(shown)))
        packet.stream = self._target
        packet.time_base = TIME_BASE
        packet.pts = packet.dts = cue.start
        packet.duration = cue.end - cue.start
        return cue.start * TIME_BASE, packet


def _encoder() -> SubtitleCodecContext:
    """Return an encoder of our own: the stream's opens only when the first packet is written."""
    encoder = CodecContext.create("mov_text", "w")
    assert isinstance(encoder, SubtitleCodecContext)
    encoder.subtitle_header = _HEADER
    encoder.time_base = TIME_BASE
    encoder.open()
    return encoder


def _is_timed_text(stream: SubtitleStream) -> bool:
    """Return whether a stream is timed text; QuickTime's "text", the same codec to FFmpeg, is not."""
    return stream.codec_context.codec_tag == "tx3g"
