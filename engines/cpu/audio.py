"""Sound for the finished file: packets copied where MP4 holds their codec well, everything else as AAC."""

from __future__ import annotations

import heapq
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, Protocol, cast

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.filter import Graph
from av.packet import Packet
from av.stream import Stream

from engines.cpu.channel_layouts import decode, native_order
from engines.cpu.container import PacketReader
from engines.cpu.description import copy_traits
from engines.cpu.edited_sound import EditedSound
from engines.cpu.edits import EditLists
from engines.frames import AudioInfo
from engines.media_warnings import MediaWarning

COPIED_CODECS = {"aac", "mp3", "mp2", "ac3", "eac3", "alac", "opus", "flac"}
CODECS_WITH_HEADER = {"alac", "flac", "opus"}      # which MP4 repeats in its index
AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
AAC_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 8: "7.1"}
AAC_BITS_PER_CHANNEL = 96_000
FILL_GAPS_S = 0.02                  # smaller differences are the container's rounding
LONGEST_FILL_S = 10                 # longer gaps stay gaps: filling one costs memory by its length
MAX_TRACKS = 64                     # professional recordings have up to 32; a muxer's memory grows with each

Mode = Literal["copied", "transcoded", "dropped"]


@dataclass(slots=True)
class AudioStreamOutcome:
    """What became of one audio stream.

    ``skipped_packets`` were damaged; "dropped" means that no decoder knows it, or that there are too many.
    """

    index: int
    codec: str
    mode: Mode
    output_codec: str | None = None
    packets: int = 0
    skipped_packets: int = 0


@dataclass(frozen=True, slots=True)
class AudioOutcome:
    """What became of the sound. ``mode`` is "transcoded" as soon as one stream was.

    ``refused_packets`` were damaged in a way that only the muxer noticed.
    """

    streams: tuple[AudioStreamOutcome, ...] = ()
    refused_packets: int = 0
    warnings: tuple[MediaWarning, ...] = ()

    @property
    def mode(self) -> Literal["copied", "transcoded", "none"]:
        modes = {stream.mode for stream in self.streams} - {"dropped"}
        if not modes:
            return "none"
        return "transcoded" if "transcoded" in modes else "copied"

    @property
    def skipped_packets(self) -> int:
        """All damaged packets that were left out."""
        return self.refused_packets + sum(stream.skipped_packets for stream in self.streams)


class _Track(Protocol):
    """One audio stream on its way: takes the source's packets, gives packets for the output."""

    outcome: AudioStreamOutcome

    def take(self, packet: Packet[Stream]) -> list[Packet[Stream]]: ...

    def finish(self) -> list[Packet[Stream]]: ...


class AudioPump:
    """Reads all audio streams of the source and gives their packets for the output, in order of time.

    Args:
        container: the source, opened for this purpose alone.
        streams: the audio streams to take, as ``probe`` describes them.
        output: gets one stream per track; create the pump before anything is muxed.
        origin: seconds that are taken off every timestamp.
        edited: by index, the sound of streams that are presented by an edit list; all streams or none.
    """

    def __init__(
        self,
        container: InputContainer,
        streams: Iterable[AudioInfo],
        output: OutputContainer,
        origin: Fraction,
        edited: dict[int, EditedSound] | None = None,
    ) -> None:
        self._container = container
        self._edited = edited or {}
        self._tracks: dict[int, _Track] = {}
        self._dropped: list[AudioStreamOutcome] = []
        for info in streams:
            stream = cast(AudioStream, container.streams[info.index])
            keep = info.index not in self._edited
            track = _make_track(stream, info, output, origin, keep=keep) if len(self._tracks) < MAX_TRACKS else None
            if track is None:
                self._dropped.append(AudioStreamOutcome(info.index, _codec_name(stream), "dropped"))
            else:
                self._tracks[info.index] = track

    @property
    def outcome(self) -> AudioOutcome:
        streams = [track.outcome for track in self._tracks.values()] + self._dropped
        return AudioOutcome(tuple(sorted(streams, key=lambda s: s.index)))

    def packets(self) -> Iterator[tuple[Fraction, Packet[Stream]]]:
        """(decoding time in seconds, packet) for the output; damaged packets are left out and counted."""
        if not self._tracks:
            return
        if self._edited:
            edited = (self._edited_packets(index, self._edited[index]) for index in self._tracks)
            yield from heapq.merge(*edited, key=lambda timed: timed[0])
            return
        streams: list[Stream] = [self._container.streams[i] for i in self._tracks]
        for packet in PacketReader(self._container, streams):
            yield from _timed(self._tracks[packet.stream_index].take(packet))
        rests = [_timed(track.finish()) for track in self._tracks.values()]
        yield from heapq.merge(*rests, key=lambda timed: timed[0])

    def _edited_packets(self, index: int, sound: EditedSound) -> Iterator[tuple[Fraction, Packet[Stream]]]:
        track = self._tracks[index]
        assert isinstance(track, _TranscodeTrack)
        for frame in sound.frames():
            yield from _timed(track.hear([frame]))
        yield from _timed(track.finish())
        track.outcome.skipped_packets += sound.skipped_packets


def audio_starts(container: InputContainer, lists: EditLists) -> list[Fraction]:
    """When each audio stream begins to be heard, in seconds; what lies before 0 is a codec's run-in, not sound."""
    return [
        max(Fraction(0), _start(stream, lists) * stream.time_base)
        for stream in container.streams.audio
        if stream.codec_context is not None and stream.start_time is not None and stream.time_base
    ]


def _start(stream: AudioStream, lists: EditLists) -> int:
    """In ticks of the stream."""
    edits = lists.of(stream.id)
    return edits[0].start if lists.are_complex and edits else stream.start_time or 0


class _CopyTrack:
    """Passes packets on unchanged, on a shifted timeline whose decoding times strictly rise."""

    def __init__(self, source: AudioStream, output: OutputContainer, origin: Fraction) -> None:
        self._target: Stream = output.add_stream_from_template(source)
        copy_traits(source, self._target)
        self._shift = round(origin / (source.time_base or Fraction(1)))
        self._last_dts: int | None = None
        name = _codec_name(source)
        self.outcome = AudioStreamOutcome(source.index, name, "copied", name)

    def take(self, packet: Packet[Stream]) -> list[Packet[Stream]]:
        if packet.is_corrupt or packet.size == 0 or packet.pts is None:
            self.outcome.skipped_packets += 1
            return []
        packet.pts -= self._shift
        packet.dts = packet.pts
        if self._last_dts is not None and packet.dts <= self._last_dts:
            self.outcome.skipped_packets += 1
            return []
        self._last_dts = packet.dts
        packet.stream = self._target
        self.outcome.packets += 1
        return [packet]

    def finish(self) -> list[Packet[Stream]]:
        return []


class _TranscodeTrack:
    """Decodes and encodes to AAC; gaps become silence and overlaps are cut, so that sound stays where it was."""

    def __init__(self, source: AudioStream, info: AudioInfo, output: OutputContainer, origin: Fraction) -> None:
        self._source = source
        self._labels = info.channel_labels
        self._origin = origin
        rate = _aac_rate(source.codec_context.sample_rate)
        layout = AAC_LAYOUTS.get(source.codec_context.channels, "stereo")
        self._target = output.add_stream("aac", rate=rate)
        self._target.codec_context.layout = layout
        self._target.codec_context.bit_rate = AAC_BITS_PER_CHANNEL * self._target.codec_context.channels
        copy_traits(source, self._target)
        self._graph: Graph | None = None
        self._graph_key: tuple[object, ...] = ()
        self._end_s = Fraction(0)
        self.outcome = AudioStreamOutcome(source.index, _codec_name(source), "transcoded", "aac")

    def take(self, packet: Packet[Stream]) -> list[Packet[Stream]]:
        try:
            frames = decode(self._source, packet)
        except (av.FFmpegError, ValueError):
            self.outcome.skipped_packets += 1
            return []
        return self.hear(frames)

    def hear(self, frames: list[AudioFrame]) -> list[Packet[Stream]]:
        """The output's packets for decoded sound."""
        try:
            return self._encode(frames)
        except (av.FFmpegError, ValueError):
            self.outcome.skipped_packets += 1
            return []

    def finish(self) -> list[Packet[Stream]]:
        packets = self._encode(self._flushed()) + self._encode(self._drained())
        if self._graph_key:
            packets += self._counted(self._target.encode(None))
        return packets

    def _flushed(self) -> list[AudioFrame]:
        try:
            return decode(self._source, None)
        except av.FFmpegError:
            return []

    def _encode(self, frames: list[AudioFrame]) -> list[Packet[Stream]]:
        return [p for frame in frames for even in self._evened(frame) for p in self._counted(self._target.encode(even))]

    def _counted(self, packets: list[Packet[Stream]]) -> list[Packet[Stream]]:
        self.outcome.packets += len(packets)
        return packets

    def _evened(self, frame: AudioFrame) -> Iterator[AudioFrame]:
        key = (frame.format.name, frame.layout.name, frame.sample_rate)
        place = self._place(frame)
        if key != self._graph_key or self._lies_far_behind(place, frame.sample_rate):
            yield from self._drained()
            self._graph, self._graph_key = self._build(frame), key
        frame.pts = place
        frame.time_base = Fraction(1, frame.sample_rate)
        assert self._graph is not None
        self._graph.push(frame)
        yield from self._pulled()

    def _place(self, frame: AudioFrame) -> int | None:
        """The frame's time on the output's timeline, in samples."""
        if frame.pts is None or frame.time_base is None:
            return None
        return round((frame.pts * frame.time_base - self._origin) * frame.sample_rate)

    def _lies_far_behind(self, place: int | None, rate: int) -> bool:
        """Whether there is a long gap before the frame; notes where the sound is now."""
        before, self._end_s = self._end_s, self._end_s if place is None else Fraction(place, rate)
        return self._graph is not None and self._end_s - before > LONGEST_FILL_S

    def _build(self, frame: AudioFrame) -> Graph:
        target = self._target.codec_context
        graph = Graph()
        order = native_order(frame, self._labels)
        graph.link_nodes(
            graph.add_abuffer(
                sample_rate=frame.sample_rate,
                format=frame.format.name,
                layout=frame.layout.name,
                time_base=Fraction(1, frame.sample_rate),
            ),
            *([graph.add("channelmap", order.channelmap)] if order else []),
            graph.add("aresample", f"{target.sample_rate}:async=1:min_hard_comp={FILL_GAPS_S}"),
            graph.add("aformat", f"sample_fmts={target.format.name}:channel_layouts={target.layout.name}"),
            graph.add("abuffersink"),
        ).configure()
        return graph

    def _drained(self) -> list[AudioFrame]:
        if self._graph is None:
            return []
        self._graph.push(None)
        rest = list(self._pulled())
        self._graph = None
        return rest

    def _pulled(self) -> Iterator[AudioFrame]:
        while self._graph is not None:
            try:
                frame = self._graph.pull()
            except (BlockingIOError, EOFError):
                return
            assert isinstance(frame, AudioFrame)
            yield frame


def _make_track(
    source: AudioStream, info: AudioInfo, output: OutputContainer, origin: Fraction, *, keep: bool
) -> _Track | None:
    if source.codec_context is None or not source.codec_context.sample_rate:
        return None
    if keep and _can_be_copied(source):
        return _CopyTrack(source, output, origin)
    return _TranscodeTrack(source, info, output, origin)


def _can_be_copied(source: AudioStream) -> bool:
    """Whether MP4 holds the stream as it is; a damaged codec header would make the muxer refuse the whole file."""
    name = _codec_name(source)
    if name not in CODECS_WITH_HEADER:
        return name in COPIED_CODECS
    try:
        with av.open(io.BytesIO(), "w", format="mp4", options={"movflags": "empty_moov"}) as scratch:
            scratch.add_stream_from_template(source)
            scratch.start_encoding()
    except (av.FFmpegError, ValueError):
        return False
    return True


def _timed(packets: list[Packet[Stream]]) -> Iterator[tuple[Fraction, Packet[Stream]]]:
    for packet in packets:
        yield (packet.dts or 0) * packet.time_base, packet


def _codec_name(stream: AudioStream) -> str:
    return stream.codec_context.codec.canonical_name if stream.codec_context is not None else "unknown"


def _aac_rate(rate: int) -> int:
    return rate if rate in AAC_RATES else 48_000
