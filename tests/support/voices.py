"""Audio whose channels are distinguished by their tones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame

RATE, SECONDS = 48_000, 1.5
AMPLITUDE = 0.1  # -20 dBFS


@dataclass
class Voices:
    """An audio stream whose n-th channel holds a tone of ``tones_hz[n]``; 0 is silence."""

    tones_hz: Sequence[float]
    layout: str | None = None  # None: nothing says what the channels are
    codec: str = "pcm_s16le"
    language: str | None = None
    amplitude: float = AMPLITUDE


def record(path: Path, *streams: Voices) -> Path:
    """A short film in black with these streams."""
    with av.open(str(path), "w") as out:
        video = out.add_stream("mpeg2video" if path.suffix == ".mxf" else "libx264", rate=25)
        video.width, video.height, video.pix_fmt = 160, 96, "yuv420p"
        tracks = [_track(out, voices) for voices in streams]
        packets = [p for n in range(round(25 * SECONDS)) for p in video.encode(_black(n))] + video.encode(None)
        for track, voices in zip(tracks, streams, strict=True):
            packets += _packets(track, voices)
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
            out.mux(packet)
    return path


def _track(out: av.container.OutputContainer, voices: Voices) -> av.audio.stream.AudioStream:
    track = out.add_stream(voices.codec, rate=RATE)
    track.codec_context.layout = _layout(voices)
    if voices.language:
        track.metadata["language"] = voices.language
    return track


def _layout(voices: Voices) -> str:
    return voices.layout or f"{len(voices.tones_hz)} channels"


def _black(number: int) -> av.VideoFrame:
    frame = av.VideoFrame(160, 96, "yuv420p")
    for plane, level in zip(frame.planes, (16, 128, 128), strict=True):
        np.frombuffer(plane, np.uint8)[:] = level
    frame.pts = number
    return frame


def _packets(track: av.audio.stream.AudioStream, voices: Voices) -> list[av.Packet]:
    time = np.arange(round(RATE * SECONDS)) / RATE
    waves = np.array([voices.amplitude * np.sin(2 * np.pi * hz * time) for hz in voices.tones_hz]).T
    packets = []
    resampler = av.AudioResampler(track.codec_context.format, _layout(voices), RATE)
    for first in range(0, len(waves), 1024):
        block = np.ascontiguousarray((32767 * waves[first : first + 1024]).round().astype(np.int16)).reshape(1, -1)
        frame = AudioFrame.from_ndarray(block, format="s16", layout=_layout(voices))
        frame.sample_rate, frame.pts = RATE, first
        packets += [p for even in resampler.resample(frame) for p in track.encode(even)]
    return packets + track.encode(None)


def tones(count: int) -> list[float]:
    """Far enough apart to be distinguished, and at frequencies that AAC preserves."""
    return [400.0 + 110 * number for number in range(count)]
