"""Recordings that no single film can make: of several parts, or no recordings at all."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tests.conformance import scene
from tests.conformance.film import Film, Voice

_TICK = Fraction(1, 25)


def grown(path: Path) -> None:
    _parts(path, ((320, 180), (640, 360)))


def turned(path: Path) -> None:
    _parts(path, ((320, 180), (180, 320)))


def _parts(path: Path, sizes: tuple[tuple[int, int], ...]) -> None:
    """One VP8 stream whose frames change their size, 25 of each."""
    with av.open(str(path), "w") as out:
        target = out.add_mux_stream("vp8", rate=25, width=sizes[0][0], height=sizes[0][1])
        for part, size in enumerate(sizes):
            for packet in _encoded(size):
                packet.stream = target
                packet.pts = packet.dts = packet.pts + 25 * part
                packet.time_base = _TICK
                out.mux(packet)


def _encoded(size: tuple[int, int]) -> list[av.Packet]:
    context = av.CodecContext.create("libvpx", "w")
    context.width, context.height, context.pix_fmt = *size, "yuv420p"
    context.time_base, context.bit_rate = _TICK, 3_000_000
    context.thread_count = 1  # several threads of libvpx may wait for each other for ever
    packets = []
    for number in range(25):
        frame = scene.frame_of(scene.painted(number, *size), "yuv420p", 6, full_range=False)
        frame.pts, frame.time_base = number, _TICK
        packets += context.encode(frame)
    return packets + context.encode(None)


def with_thumbnail_first(path: Path) -> None:
    """A QuickTime file whose first video stream is a small one of two frames."""
    _two_videos(path, ((64, 36, 2), (320, 180, 25)))


def with_second_camera(path: Path) -> None:
    """Two streams of video: the larger one, with more frames, comes second."""
    _two_videos(path, ((160, 90, 5), (320, 180, 25)))


def _two_videos(path: Path, streams: tuple[tuple[int, int, int], ...]) -> None:
    with av.open(str(path), "w") as out:
        targets = []
        for width, height, _ in streams:
            target = out.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
            target.width, target.height, target.pix_fmt = width, height, "yuv420p"
            targets.append(target)
        for target, (width, height, count) in zip(targets, streams, strict=True):
            for number in range(count):
                frame = scene.frame_of(scene.painted(number, width, height), "yuv420p", 6, full_range=False)
                frame.pts, frame.time_base = number, _TICK
                out.mux(target.encode(frame))
            out.mux(target.encode(None))


def with_cover(path: Path) -> Path:
    """Matroska with a cover as an attachment."""
    made = path.with_suffix(".mkv")
    frame = av.VideoFrame.from_ndarray(np.full((240, 240, 3), 90, np.uint8), format="rgb24")
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 240, 240, "yuvj420p", Fraction(1)
    jpeg = bytes(encoder.encode(frame.reformat(format="yuvj420p"))[0])
    with av.open(str(path)) as source, av.open(str(made), "w") as out:
        streams = {s.index: out.add_stream_from_template(s) for s in source.streams}
        out.add_attachment("cover.jpg", "image/jpeg", jpeg)
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream_index]
                out.mux(packet)
    return made


def audio_only(path: Path) -> None:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=48_000, layout="stereo")
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 48_000), np.float32), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = 48_000, 0
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def photograph(codec: str, pix_fmt: str) -> object:
    """Makes a still image under the recording's name."""

    def make(path: Path) -> None:
        context = av.CodecContext.create(codec, "w")
        context.width, context.height, context.pix_fmt, context.time_base = 320, 180, pix_fmt, Fraction(1)
        frame = scene.frame_of(scene.painted(5, 320, 180), pix_fmt, 6, full_range=True)
        path.write_bytes(b"".join(bytes(p) for p in [*context.encode(frame), *context.encode(None)]))

    return make


def changing_audio(path: Path) -> None:
    """A transport stream whose audio is mono for two seconds and stereo from then on."""
    parts = [Film("part.ts", frames=48, voices=(Voice("mp2", layout, length_s=1.92),)) for layout in ("mono", "stereo")]
    data = []
    for part in parts:
        made = part.write(path.parent)
        data.append(made.read_bytes())
        made.unlink()
    path.write_bytes(b"".join(data))
