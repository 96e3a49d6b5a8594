"""Decode the audio of a stream as its edit list presents it, cut to the sample."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.filter import Graph
from av.packet import Packet
from av.stream import Stream

from engines.containers.channel_layouts import decode
from engines.containers.demux import PacketReader, open_media
from engines.containers.edit_lists import Edit, EditLists, Edits

PREROLL_S = Fraction(1, 2)  # decoded before an edit: MP3's bit reservoir reaches back a quarter of a second


class EditedAudio:
    """Decodes one stream, edit by edit.

    Args:
        path: the file; it is opened again, because each stream is read at its own position.
        index: index of the audio stream.

    Attributes:
        skipped_packets: number of packets that the codec refused.
    """

    def __init__(self, path: Path, index: int, edits: Edits) -> None:
        self._path = path
        self._index = index
        self._edits = edits
        self.skipped_packets = 0

    def frames(self) -> Iterator[AudioFrame]:
        """Yield frames with times of the presentation, in samples.

        Raises:
            OSError: the storage failed.
        """
        with open_media(self._path) as container:
            stream = cast(AudioStream, container.streams[self._index])
            for edit in self._edits:
                if not edit.still:
                    yield from self._edit_frames(container, stream, edit)

    def _edit_frames(self, container: InputContainer, stream: AudioStream, edit: Edit) -> Iterator[AudioFrame]:
        position = _Position()
        for packet in _packets(container, stream, edit):
            for frame in self._decoded(stream, packet):
                cut = _cut(
                    frame, position.of(frame), _SampleRange.of(edit, stream.time_base or Fraction(1), frame.sample_rate)
                )
                if cut is not None:
                    yield cut
        stream.codec_context.flush_buffers()

    def _decoded(self, stream: AudioStream, packet: Packet[Stream] | None) -> list[AudioFrame]:
        try:
            return decode(stream, packet)
        except (av.FFmpegError, ValueError):
            self.skipped_packets += 1
            return []


def edited_audio(path: Path, container: InputContainer, lists: EditLists) -> dict[int, EditedAudio]:
    """Return the edited audio of each stream, by index; empty if FFmpeg applies the lists."""
    if not lists.are_complex:
        return {}
    return {s.index: EditedAudio(path, s.index, lists.of(s.id)) for s in container.streams.audio}


@dataclass(slots=True)
class _Position:
    """Position of frames in the media, in samples: each follows the one before unless its time stamp differs."""

    _next: int | None = None

    def of(self, frame: AudioFrame) -> int:
        time_base = frame.time_base or Fraction(1, frame.sample_rate)
        stated = self._next or 0 if frame.pts is None else round(frame.pts * time_base * frame.sample_rate)
        is_next = self._next is not None and abs(stated - self._next) <= time_base * frame.sample_rate
        place = self._next if is_next and self._next is not None else stated
        self._next = place + frame.samples
        return place


@dataclass(frozen=True, slots=True)
class _SampleRange:
    """An edit, in samples."""

    begin: int
    end: int
    presented: int

    @classmethod
    def of(cls, edit: Edit, time_base: Fraction, rate: int) -> _SampleRange:
        """Convert an edit; ends are rounded on the presentation's timeline, where edits follow each other."""
        begin, presented = round(edit.media_start * time_base * rate), round(edit.start * time_base * rate)
        return cls(begin, begin + round(edit.end * time_base * rate) - presented, presented)


def _packets(container: InputContainer, stream: AudioStream, edit: Edit) -> Iterator[Packet[Stream] | None]:
    """Yield the packets of an edit after a preroll, and then None to flush the codec."""
    preroll = round(PREROLL_S / (stream.time_base or Fraction(1)))
    try:
        container.seek(edit.media_start - preroll, stream=stream, backward=True)
    except av.FFmpegError:
        return
    for packet in PacketReader(container, [stream]):
        if packet.pts is not None and packet.pts >= edit.media_end:
            break
        yield packet
    yield None


def _cut(frame: AudioFrame, place: int, span: _SampleRange) -> AudioFrame | None:
    """Return the part of a frame that lies in a range, with its time of the presentation."""
    first, last = max(0, span.begin - place), min(frame.samples, span.end - place)
    if first >= last:
        return None
    cut = frame if last - first == frame.samples else _part(frame, first, last)
    cut.pts, cut.time_base = span.presented + place + first - span.begin, Fraction(1, frame.sample_rate)
    return cut


def _part(frame: AudioFrame, first: int, last: int) -> AudioFrame:
    """Return some samples of a frame; FFmpeg's filter copies any format and number of channels."""
    graph = Graph()
    time_base = Fraction(1, frame.sample_rate)
    graph.link_nodes(
        graph.add_abuffer(
            sample_rate=frame.sample_rate, format=frame.format.name, layout=frame.layout.name, time_base=time_base
        ),
        graph.add("atrim", f"start_sample={first}:end_sample={last}"),
        graph.add("abuffersink"),
    ).configure()
    frame.pts, frame.time_base = 0, time_base
    graph.push(frame)
    graph.push(None)
    return cast(AudioFrame, graph.pull())
