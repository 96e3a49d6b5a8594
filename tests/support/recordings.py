"""Small recordings of two real faces for tests: Eileen Collins left, Grace Hopper right, both in the public domain."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import matplotlib
import numpy as np
import skimage.data

Path2D = Callable[[float], tuple[float, float]]  # seconds -> centre of the head, as fractions of width and height


@functools.cache
def portraits() -> tuple[np.ndarray, np.ndarray]:
    """Head and shoulders of the two, BGR, square."""
    collins = cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2BGR)[0:300, 80:380]
    hopper = cv2.imread(str(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"))[20:420, 60:460]
    return collins, hopper


def still(x: float, y: float = 0.5) -> Path2D:
    """Somebody who sits and sways a little."""
    return lambda t: (x + 0.01 * math.sin(2 * t), y + 0.01 * math.sin(3 * t))


def walk(x_from: float, x_to: float, seconds: float) -> Path2D:
    return lambda t: (x_from + (x_to - x_from) * min(1.0, t / seconds), 0.5)


def image(t: float, people: tuple[Path2D | None, Path2D | None], width: int, height: int) -> np.ndarray:
    """One BGR frame: the second person is behind the first."""
    shade = np.linspace(60, 140, width, dtype=np.float32)
    canvas = np.repeat(np.repeat(shade[None, :, None], height, 0), 3, 2).astype(np.uint8)
    side = int(height * 0.62)
    for face, path in reversed(list(zip(portraits(), people, strict=True))):
        if path is not None:
            cx, cy = path(t)
            _paste(canvas, cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA), cx * width, cy * height)
    return canvas


def _paste(canvas: np.ndarray, face: np.ndarray, cx: float, cy: float) -> None:
    height, width = canvas.shape[:2]
    side = face.shape[0]
    left, top = round(cx - side / 2), round(cy - side / 2)
    x0, y0, x1, y1 = max(0, left), max(0, top), min(width, left + side), min(height, top + side)
    if x0 < x1 and y0 < y1:
        canvas[y0:y1, x0:x1] = face[y0 - top : y1 - top, x0 - left : x1 - left]


def write_recording(
    path: Path,
    *,
    seconds: float = 3.0,
    people: tuple[Path2D | None, Path2D | None] = (still(0.28), still(0.72)),
    size: tuple[int, int] = (640, 360),
    fps: int = 30,
    audio_track: bool = True,
) -> Path:
    """Write an H.264 recording with a stereo tone."""
    width, height = size
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=fps, options={"preset": "ultrafast", "crf": "18"})
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        video.codec_context.gop_size = fps
        audio = out.add_stream("aac", rate=48000, layout="stereo") if audio_track else None
        for n in range(round(seconds * fps)):
            frame = av.VideoFrame.from_ndarray(image(n / fps, people, width, height), format="bgr24")
            frame.pts, frame.time_base = n, Fraction(1, fps)
            out.mux(video.encode(frame))
        out.mux(video.encode())
        if audio is not None:
            _write_tone(out, audio, seconds)
    return path


def write_audio(path: Path, *, seconds: float = 1.0) -> Path:
    """Write a recording without a frame."""
    with av.open(str(path), "w") as out:
        _write_tone(out, out.add_stream("aac", rate=48000, layout="stereo"), seconds)
    return path


def _write_tone(out: av.container.OutputContainer, stream: av.AudioStream, seconds: float) -> None:
    rate, block = 48000, 1024
    for begin in range(0, int(seconds * rate), block):
        t = (begin + np.arange(block)) / rate
        tone = (0.1 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(np.stack([tone, tone]), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = rate, begin, Fraction(1, rate)
        out.mux(stream.encode(frame))
    out.mux(stream.encode())


def packets(path: Path, kind: str = "video") -> list[tuple[int, int, bytes]]:
    """(pts, dts, data) of every packet of the first stream of a kind."""
    with av.open(str(path)) as source:
        stream = source.streams.best(kind)
        return [(p.pts, p.dts, bytes(p)) for p in source.demux(stream) if p.size]


def copied_audio(recording: Path) -> list[tuple[int, int, bytes]]:
    """The audio packets of a recording that its output repeats: not those before time 0, which are AAC's run-in."""
    return [packet for packet in packets(recording, "audio") if packet[0] >= 0]
