"""The frame and the audio that every recording of the table shows, as functions of place, time and number.

Recordings are drawn from them and results are judged by them, so nothing is compared with what FFmpeg made of a file.
"""

from __future__ import annotations

import av
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

BITS = 6  # a frame's number stands in the middle band, twice from left to right
BAND = (0.4, 0.6)  # of the height
QUADRANTS = (((200, 60, 60), (60, 160, 80)), ((60, 80, 200), (200, 180, 60)))  # RGB; [lower half][right half]
BLACK, WHITE = (16, 16, 16), (235, 235, 235)
BURST_S = (0.25, 0.75)  # when the tone of each stream is heard, from the first frame on
LOUD = 0.25

Floats = NDArray[np.float64]
KR_KB = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 7: (0.212, 0.087), 9: (0.2627, 0.0593)}


def colour_at(u: Floats, v: Floats, number: int) -> Floats:
    """RGB 0 to 255, shape (..., 3), at places given as fractions of the displayed frame's width and height."""
    table = np.array(QUADRANTS, np.float64)
    colours = table[(v >= 0.5).astype(int), (u >= 0.5).astype(int)]
    bits = number >> (np.floor(u * 2 * BITS).astype(int) % BITS) & 1
    band = np.where(bits[..., None] == 1, np.array(WHITE, np.float64), np.array(BLACK, np.float64))
    inside = (v >= BAND[0]) & (v < BAND[1])
    return np.where(inside[..., None], band, colours)


def places() -> list[tuple[float, float]]:
    """Where results are looked at: the middles of the number's blocks, and as many above and below."""
    across = [(2 * block + 1) / (4 * BITS) for block in range(2 * BITS)]
    return [(u, v) for v in (0.2, 0.5, 0.8) for u in across]


def painted(number: int, width: int, height: int) -> Floats:
    """The displayed frame, RGB 0 to 255, shape (height, width, 3)."""
    u, v = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height)
    return colour_at(u, v, number)


def ycbcr(rgb: Floats, matrix: int) -> Floats:
    """Y in 0..1 and Cb, Cr in -0.5..0.5 of RGB 0..255, by the matrix's H.273 number."""
    kr, kb = KR_KB[matrix]
    r, g, b = np.moveaxis(rgb / 255, -1, 0)
    y = kr * r + (1 - kr - kb) * g + kb * b
    return np.stack([y, (b - y) / (2 - 2 * kb), (r - y) / (2 - 2 * kr)], -1)


def rgb(y: Floats, cb: Floats, cr: Floats, matrix: int) -> Floats:
    """The way back."""
    kr, kb = KR_KB[matrix]
    r, b = y + (2 - 2 * kr) * cr, y + (2 - 2 * kb) * cb
    return np.stack([r, (y - kr * r - kb * b) / (1 - kr - kb), b], -1) * 255


def frame_of(image: Floats, pix_fmt: str, matrix: int, *, full_range: bool) -> VideoFrame:
    """A frame of a stored frame, RGB 0 to 255."""
    like = av.VideoFormat(pix_fmt)
    if like.is_rgb or like.has_palette:
        return VideoFrame.from_ndarray(np.rint(image).astype(np.uint8), format="rgb24").reformat(format=pix_fmt)
    planar = {"nv12": "yuv420p", "uyvy422": "yuv422p", "yuyv422": "yuv422p", "p010le": "yuv420p10le"}
    if pix_fmt in planar:
        return frame_of(image, planar[pix_fmt], matrix, full_range=full_range).reformat(format=pix_fmt)
    frame = VideoFrame(image.shape[1], image.shape[0], pix_fmt)
    depth = like.components[0].bits
    codes = _codes(image, matrix, depth, full_range)
    for number, (plane, values) in enumerate(zip(frame.planes, codes, strict=False)):
        rows = np.frombuffer(plane, np.uint8 if depth == 8 else "<u2")
        target = rows.reshape(plane.height, -1)[:, : plane.width]
        step_y, step_x = round(image.shape[0] / plane.height), round(image.shape[1] / plane.width)
        target[:] = values[::step_y, ::step_x][: plane.height, : plane.width] if number < 3 else values
    return frame


def _codes(image: Floats, matrix: int, depth: int, full_range: bool) -> list[NDArray[np.int64]]:
    """Code values of Y, Cb, Cr and an opaque alpha, each of the frame's size."""
    top, scale = 2**depth - 1, 2 ** (depth - 8)
    parts = ycbcr(image, matrix)
    y = parts[..., 0] * (top if full_range else 219 * scale) + (0 if full_range else 16 * scale)
    chroma = parts[..., 1:] * (top if full_range else 224 * scale) + 128 * scale
    codes = [y, chroma[..., 0], chroma[..., 1], np.full_like(y, top)]
    return [np.rint(np.clip(code, 0, top)).astype(np.int64) for code in codes]


def pitch_hz(stream: int, channel: int) -> int:
    """The tone of one channel: no two channels of a recording have the same."""
    return 310 + 40 * channel + 10 * stream


def audio_of(
    stream: int, channels: int, *, rate: int, from_s: float, length_s: float, lfe: int | None = None
) -> Floats:
    """Samples, shape (channels, count), that begin ``from_s`` after the first frame."""
    t = from_s + np.arange(round(length_s * rate)) / rate
    on = (t >= BURST_S[0]) & (t < BURST_S[1])
    tones = [LOUD * np.sin(2 * np.pi * (60 if c == lfe else pitch_hz(stream, c)) * t) * on for c in range(channels)]
    return np.stack(tones)
