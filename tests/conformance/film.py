"""Recordings of the table, made with PyAV alone: any container, codec, layout, time base and geometry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame

from tests.conformance import scene

BLOCK = 1024  # samples of a packet of PCM
Packets = list[tuple[Fraction, Any]]


@dataclass(frozen=True)
class Voice:
    """One audio stream: each channel has a tone of its own.

    Attributes:
        layout: a name that FFmpeg knows, or a number of channels whose layout is unknown.
        from_s: when it begins, on the first frame's clock; holes: stretches without packets.
    """

    codec: str = "aac"
    layout: str | int = "stereo"
    rate: int = 48_000
    from_s: float = 0.0
    length_s: float = 1.0
    holes_s: tuple[float, float] | None = None
    sample_format: str | None = None
    language: str | None = None
    bit_rate: int | None = None
    options: dict[str, str] = field(default_factory=dict)

    @property
    def channels(self) -> int:
        return self.layout if isinstance(self.layout, int) else av.AudioLayout(self.layout).nb_channels

    @property
    def lfe(self) -> int | None:
        if isinstance(self.layout, int):
            return None
        names = [channel.name for channel in av.AudioLayout(self.layout).channels]
        return names.index("LFE") if "LFE" in names else None


@dataclass(frozen=True)
class Film:
    """One recording. ``pts`` default to even steps of ``rate``; ``matrix`` is that of the pixels, tagged or not."""

    name: str = "film.mp4"
    format: str | None = None
    width: int = 320
    height: int = 180
    frames: int = 25
    rate: Fraction = Fraction(25)
    codec: str = "libx264"
    pix_fmt: str = "yuv420p"
    options: dict[str, str] = field(default_factory=dict)
    time_base: Fraction | None = None
    pts: Sequence[int] | None = None
    rotation: int = 0  # degrees clockwise by which players turn it
    mirrored: bool = False
    aspect: Fraction | None = None
    matrix: int = 6
    full_range: bool = False
    tags: tuple[int, int, int, int] | None = None  # primaries, transfer, matrix, range
    interlaced: str | None = None  # "tff" or "bff"
    voices: Sequence[Voice] = (Voice(),)
    muxer: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    chapters: bool = False
    subtitles: str | None = None  # codec
    cover: bool = False
    bit_rate: int | None = None

    def write(self, folder: Path) -> Path:
        path = folder / self.name
        with av.open(str(path), "w", format=self.format, options=self.muxer) as out:
            out.metadata.update(self.metadata)
            packets = self._all(out)
            for _, packet in sorted(packets, key=lambda timed: timed[0]):
                out.mux(packet)
        return path

    @property
    def ticks(self) -> list[int]:
        return list(self.pts) if self.pts is not None else list(range(self.frames))

    @property
    def tick(self) -> Fraction:
        return self.time_base or 1 / self.rate

    def times_s(self) -> list[float]:
        """When each frame is shown, from the first on."""
        return [float((pts - self.ticks[0]) * self.tick) for pts in self.ticks]

    def stored(self, number: int) -> VideoFrame:
        """The frame as it is stored: turned back, so that players turn it upright."""
        size = (self.height, self.width) if self.rotation % 180 else (self.width, self.height)
        frame = scene.painted(number, *size)
        if self.mirrored:
            frame = frame[:, ::-1]
        frame = np.rot90(frame, self.rotation // 90)
        return scene.frame_of(np.ascontiguousarray(frame), self.pix_fmt, self.matrix, full_range=self.full_range)

    def _all(self, out: OutputContainer) -> Packets:
        stream = self._video_stream(out)
        audio = [(_audio_stream(out, voice), voice) for voice in self.voices]
        extra = _Extras(self, out)
        packets = self._frames(stream)
        begin_s = self.ticks[0] * self.tick
        for number, (target, voice) in enumerate(audio):
            packets += _audio(target, voice, number, begin_s)
        return packets + extra.packets()

    def _video_stream(self, out: OutputContainer) -> Any:
        defaults = {"preset": "ultrafast", "g": "12"} if self.codec in ("libx264", "libx264rgb", "libx265") else {}
        stream = out.add_stream(self.codec, rate=self.rate, options=defaults | self.options)
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = self.width, self.height, self.pix_fmt
        context.time_base, context.thread_count = self.tick, 1
        if self.bit_rate:
            context.bit_rate = self.bit_rate
        if self.aspect:
            context.sample_aspect_ratio = self.aspect
        if self.tags:
            context.color_primaries, context.color_trc, context.colorspace, context.color_range = self.tags
        if self.interlaced:
            context.flags |= av.codec.context.Flags.interlaced_dct | av.codec.context.Flags.interlaced_me
        if self.rotation or self.mirrored:
            stream.set_display_rotation(-self.rotation, hflip=self.mirrored)
        return stream

    def _frames(self, stream: Any) -> Packets:
        packets: Packets = []
        for number, pts in enumerate(self.ticks):
            frame = self.stored(number)
            frame.pts, frame.time_base = pts, self.tick
            if self.tags:  # some encoders ask the frame, not the stream
                frame.color_primaries, frame.color_trc, frame.colorspace, frame.color_range = self.tags
            packets += _timed(stream.encode(frame))
        return packets + _timed(stream.encode(None))


class _Extras:
    """Streams beside video and audio."""

    def __init__(self, film: Film, out: OutputContainer) -> None:
        self._film = film
        self._subtitles = out.add_mux_stream(film.subtitles) if film.subtitles else None
        self._cover = out.add_stream("mjpeg") if film.cover else None
        if self._cover is not None:
            self._cover.width, self._cover.height, self._cover.pix_fmt = 640, 640, "yuvj420p"
            self._cover.disposition = av.stream.Disposition.attached_pic
        if film.chapters:
            base = Fraction(1, 1000)
            titles = (("Opening", 0, 500), ("Talk", 500, 1000))
            out.set_chapters([
                {"id": n, "start": a, "end": b, "time_base": base, "metadata": {"title": t}}
                for n, (t, a, b) in enumerate(titles, start=1)
            ])  # fmt: skip

    def packets(self) -> Packets:
        packets: Packets = []
        if self._cover is not None:
            frame = scene.frame_of(scene.painted(63, 640, 640), "yuvj420p", 6, full_range=True)
            packets += _timed(self._cover.encode(frame)) + _timed(self._cover.encode(None))
        if self._subtitles is not None:
            for begin in (0, 500):
                packet = Packet(_subtitle(self._film.subtitles or "", f"Line at {begin}"))
                packet.stream, packet.time_base = self._subtitles, Fraction(1, 1000)
                packet.pts = packet.dts = begin
                packet.duration = 400
                packets.append((Fraction(begin, 1000), packet))
        return packets


def _subtitle(codec: str, text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(2, "big") + data if codec == "mov_text" else data


def _timed(packets: list[Any]) -> Packets:
    return [(p.dts * p.time_base if p.dts is not None else Fraction(0), p) for p in packets]


def _audio_stream(out: OutputContainer, voice: Voice) -> Any:
    layout = f"{voice.layout}C" if isinstance(voice.layout, int) else voice.layout
    stream = out.add_stream(voice.codec, rate=voice.rate, layout=layout, options=voice.options)
    if voice.bit_rate:
        stream.codec_context.bit_rate = voice.bit_rate
    if voice.sample_format:
        stream.codec_context.format = voice.sample_format
    if voice.language:
        stream.metadata["language"] = voice.language
    return stream


def _audio(stream: Any, voice: Voice, number: int, begin_s: Fraction) -> Packets:
    audio = scene.audio_of(
        number, voice.channels, rate=voice.rate, from_s=voice.from_s, length_s=voice.length_s, lfe=voice.lfe
    )
    first = round((begin_s + Fraction(voice.from_s)) * voice.rate)
    written = _raw if isinstance(voice.layout, int) else _encoded
    return [timed for timed in written(stream, voice, audio, first) if not _in_hole(timed[0] - begin_s, voice)]


def _in_hole(time_s: Fraction, voice: Voice) -> bool:
    return voice.holes_s is not None and voice.holes_s[0] <= time_s < voice.holes_s[1]


def _encoded(stream: Any, voice: Voice, audio: scene.Floats, first: int) -> Packets:
    packets: Packets = []
    for begin in range(0, audio.shape[1], BLOCK):
        packed = np.ascontiguousarray(audio[:, begin : begin + BLOCK].T, np.float32).reshape(1, -1)
        frame = AudioFrame.from_ndarray(packed, format="flt", layout=str(voice.layout))
        frame.sample_rate, frame.pts, frame.time_base = voice.rate, first + begin, Fraction(1, voice.rate)
        packets += _timed(stream.encode(frame))
    return packets + _timed(stream.encode(None))


def _raw(stream: Any, voice: Voice, audio: scene.Floats, first: int) -> Packets:
    """Packets of 16-bit PCM, for layouts that FFmpeg's resampler does not know."""
    samples = np.rint(audio.T * 32767).astype("<i2")
    packets: Packets = []
    for begin in range(0, len(samples), BLOCK):
        block = samples[begin : begin + BLOCK]
        packet = Packet(block.tobytes())
        packet.stream, packet.time_base = stream, Fraction(1, voice.rate)
        packet.pts = packet.dts = first + begin
        packet.duration = len(block)
        packets.append((Fraction(first + begin, voice.rate), packet))
    return packets
