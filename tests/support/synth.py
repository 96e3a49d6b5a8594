"""Small recordings made with PyAV alone, as awkward as the ones that people drop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.stream import Disposition
from av.video.frame import VideoFrame
from numpy.typing import NDArray

COUNTER_BITS = 10
CORNERS = {"top left": 200, "top right": 60, "bottom left": 130, "bottom right": 30}
Luma = NDArray[np.uint8]


def image(number: int, width: int, height: int) -> VideoFrame:
    """A yuv420p frame whose four corners differ and whose middle band spells ``number`` in black and white."""
    frame = VideoFrame(width, height, "yuv420p")
    y, u, v = (np.frombuffer(p, np.uint8).reshape(p.height, p.line_size)[:, : p.width] for p in frame.planes)
    top, left = y.shape[0] // 2, y.shape[1] // 2
    y[:top, :left], y[:top, left:] = CORNERS["top left"], CORNERS["top right"]
    y[top:, :left], y[top:, left:] = CORNERS["bottom left"], CORNERS["bottom right"]
    u[:, : u.shape[1] // 2], u[:, u.shape[1] // 2 :] = 90, 160
    v[: v.shape[0] // 2], v[v.shape[0] // 2 :] = 110, 150
    band = y[height * 3 // 8 : height * 5 // 8]
    for bit in range(COUNTER_BITS):
        block = band[:, width * bit // COUNTER_BITS : width * (bit + 1) // COUNTER_BITS]
        block[:] = 235 if number >> bit & 1 else 16
    return frame


def number_in(luma: Luma) -> int:
    """Read ``frame``'s number back."""
    height, width = luma.shape
    row = luma[height * 7 // 16 : height * 9 // 16].mean(axis=0)
    centres = [width * (2 * bit + 1) // (2 * COUNTER_BITS) for bit in range(COUNTER_BITS)]
    return sum((row[max(0, c - 2) : c + 3].mean() > 125) << bit for bit, c in enumerate(centres))


def corners(luma: Luma) -> dict[str, float]:
    """Mean luma near each corner."""
    height, width = luma.shape
    h, w = height // 8, width // 8
    return {
        "top left": float(luma[:h, :w].mean()),
        "top right": float(luma[:h, -w:].mean()),
        "bottom left": float(luma[-h:, :w].mean()),
        "bottom right": float(luma[-h:, -w:].mean()),
    }


def combed(number: int, width: int, height: int) -> VideoFrame:
    """An interlaced frame: a bright bar that stands elsewhere in the second field."""
    frame = VideoFrame(width, height, "yuv420p")
    y, u, v = (np.frombuffer(p, np.uint8).reshape(p.height, p.line_size)[:, : p.width] for p in frame.planes)
    y[:], u[:], v[:] = 40, 128, 128
    for field_number in (0, 1):
        left = (8 * (2 * number + field_number)) % (width - 48)
        y[field_number::2, left : left + 48] = 220
    return frame


@dataclass
class Audio:
    """A track of silence with a beep at each of the given seconds."""

    codec: str = "aac"
    beeps_s: Sequence[float] = ()
    length_s: float = 2.0
    start_s: float = 0.0
    rate: int = 48_000
    layout: str = "stereo"
    language: str | None = None
    sample_format: str | None = None

    def samples(self) -> NDArray[np.float32]:
        count = round(self.length_s * self.rate)
        wave = np.zeros(count, np.float32)
        for beep in self.beeps_s:
            first = round((beep - self.start_s) * self.rate)
            length = min(self.rate // 10, count - first)
            wave[first : first + length] = 0.8 * np.sin(2 * np.pi * 1000 / self.rate * np.arange(length))
        return np.tile(wave, (av.AudioLayout(self.layout).nb_channels, 1))


@dataclass
class Clip:
    """What ``write`` makes; pts default to evenly spaced ones."""

    width: int = 320
    height: int = 180
    frames: int = 30
    fps: Fraction = Fraction(30)
    codec: str = "libx264"
    pix_fmt: str = "yuv420p"
    options: dict[str, str] = field(default_factory=dict)
    pts: Sequence[int] | None = None
    time_base: Fraction | None = None
    rotation: int = 0
    mirrored: bool = False
    aspect: Fraction | None = None
    color: tuple[int, int, int, int] | None = None  # primaries, transfer, matrix, range
    interlaced: bool = False
    draw: Callable[[int, int, int], VideoFrame] = image
    audio: Sequence[Audio] = ()
    container_options: dict[str, str] = field(default_factory=dict)
    title: str | None = None

    def write(self, path: Path) -> Path:
        with av.open(str(path), "w", options=self.container_options) as out:
            if self.title:
                out.metadata["title"] = self.title
            video = self._video_stream(out)
            streams = [_audio_stream(out, audio_track) for audio_track in self.audio]
            packets = [(p, p.dts * p.time_base) for p in self._frames(video)]
            for stream, audio_track in zip(streams, self.audio, strict=True):
                packets += [(p, p.dts * p.time_base) for p in _audio_packets(stream, audio_track)]
            for packet, _ in sorted(packets, key=lambda item: item[1]):
                out.mux(packet)
        return path

    def times(self) -> list[int]:
        return list(self.pts) if self.pts is not None else list(range(self.frames))

    def _video_stream(self, out: av.container.OutputContainer) -> av.video.stream.VideoStream:
        options = {"preset": "ultrafast", "bf": "2", "g": "12"} | self.options if "x26" in self.codec else self.options
        stream = out.add_stream(self.codec, rate=self.fps, options=options)
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = self.width, self.height, self.pix_fmt
        context.time_base = self.time_base or 1 / self.fps
        context.thread_count = 1
        if self.aspect:
            context.sample_aspect_ratio = self.aspect
        if self.color:
            context.color_primaries, context.color_trc, context.colorspace, context.color_range = self.color
        if self.interlaced:
            context.flags |= av.codec.context.Flags.interlaced_dct | av.codec.context.Flags.interlaced_me
        if self.rotation or self.mirrored:
            stream.set_display_rotation(-self.rotation, hflip=self.mirrored)
        return stream

    def _frames(self, stream: av.video.stream.VideoStream) -> list[av.Packet]:
        packets = []
        for number, pts in enumerate(self.times()):
            frame = self.draw(number, self.width, self.height)
            if frame.format.name != self.pix_fmt:
                frame = frame.reformat(format=self.pix_fmt)
            frame.pts, frame.time_base = pts, self.time_base or 1 / self.fps
            packets += stream.encode(frame)
        return packets + stream.encode(None)


def write_together(path: Path, *clips: Clip, default: int = 0, options: dict[str, str] | None = None) -> Path:
    """One file with the frames of several clips, each a video stream, and the audio of the first."""
    with av.open(str(path), "w", options=options or {}) as out:
        streams = [clip._video_stream(out) for clip in clips]
        for number, stream in enumerate(streams):
            stream.disposition = Disposition.default if number == default else Disposition(0)
        audio = [_audio_stream(out, audio_track) for audio_track in clips[0].audio]
        packets = [p for clip, stream in zip(clips, streams, strict=True) for p in clip._frames(stream)]
        packets += [p for stream, s in zip(audio, clips[0].audio, strict=True) for p in _audio_packets(stream, s)]
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
            out.mux(packet)
    return path


def _audio_stream(out: av.container.OutputContainer, audio_track: Audio) -> av.audio.stream.AudioStream:
    stream = out.add_stream(audio_track.codec, rate=audio_track.rate)
    stream.codec_context.layout, stream.codec_context.bit_rate = audio_track.layout, 128_000
    if audio_track.language:
        stream.metadata["language"] = audio_track.language
    return stream


def _audio_packets(stream: av.audio.stream.AudioStream, audio_track: Audio) -> list[av.Packet]:
    packets = []
    samples = audio_track.samples()
    for first in range(0, samples.shape[1], 1024):
        block = np.ascontiguousarray(samples[:, first : first + 1024])
        frame = AudioFrame.from_ndarray(block, format="fltp", layout=audio_track.layout)
        frame.sample_rate = audio_track.rate
        frame.pts, frame.time_base = (
            first + round(audio_track.start_s * audio_track.rate),
            Fraction(1, audio_track.rate),
        )
        resampled = av.AudioResampler(stream.codec_context.format, audio_track.layout, audio_track.rate).resample(frame)
        for even in resampled:
            even.pts, even.time_base = frame.pts, frame.time_base
            packets += stream.encode(even)
    return packets + stream.encode(None)


def joined(path: Path, parts: Sequence[Clip | Path]) -> Path:
    """Recordings one after the other, in one stream and timeline: parameters change midway."""
    with av.open(str(path), "w") as out:
        stream, base_s = None, Fraction(0)
        for number, clip in enumerate(parts):
            part = clip if isinstance(clip, Path) else clip.write(path.with_name(f"part{number}{path.suffix}"))
            with av.open(str(part)) as source:
                video = source.streams.video[0]
                stream = stream or out.add_stream_from_template(video, opaque=True)
                packets = [packet for packet in source.demux(video) if packet.dts is not None]
                first = min(packet.pts for packet in packets)
                shift = round(base_s / video.time_base) - first
                for packet in packets:
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    packet.stream = stream
                    out.mux(packet)
                base_s += len(packets) / video.average_rate
    return path
