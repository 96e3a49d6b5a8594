"""Awkward frames come out upright, whole, eight bits deep, limited in range and 4:2:0."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from av.video.frame import VideoFrame

from engines.cpu.decode import PyAvDecoder
from engines.cpu.filters import output_color, planes_of
from engines.frames import ColorTags
from engines.media.probe import probe
from tests.support.decoding import UHD_PIXELS, assert_same_tail, decoded
from tests.support.synth import CORNERS, Clip, combed, corners, image, joined, number_in

TURNED = {
    (90, False): ("bottom left", "top left", "bottom right", "top right"),
    (180, False): ("bottom right", "bottom left", "top right", "top left"),
    (270, False): ("top right", "bottom right", "top left", "bottom left"),
    (0, True): ("top right", "top left", "bottom right", "bottom left"),
    (90, True): ("top left", "bottom left", "top right", "bottom right"),
    (180, True): ("bottom left", "bottom right", "top left", "top right"),
}


@pytest.mark.parametrize(("turn", "mirrored"), TURNED)
def test_frames_come_upright(tmp_path: Path, turn: int, mirrored: bool) -> None:
    path = Clip(rotation=turn, mirrored=mirrored, frames=4).write(tmp_path / "turned.mp4")
    frame = decoded(path)[0]
    info = probe(path).video
    assert frame.y.shape == (info.height, info.width)
    seen = corners(frame.y)
    for place, stored in zip(CORNERS, TURNED[turn, mirrored], strict=True):
        assert seen[place] == pytest.approx(CORNERS[stored], abs=3), place


def test_an_odd_size_turned(tmp_path: Path) -> None:
    path = Clip(319, 179, frames=3, pix_fmt="yuv444p", rotation=90).write(tmp_path / "odd.mp4")
    frame = decoded(path)[0]
    assert (frame.y.shape, frame.uv.shape) == ((319, 179), (160, 90, 2))


def test_full_hd_less_one(tmp_path: Path) -> None:
    path = Clip(1919, 1079, frames=3, codec="ffv1").write(tmp_path / "odd.mkv")
    assert {f.y.shape for f in decoded(path)} == {(1079, 1919)}


def test_pixel_aspect_is_left_to_the_consumer(tmp_path: Path) -> None:
    path = Clip(720, 576, frames=2, aspect=Fraction(64, 45)).write(tmp_path / "pal.mp4")
    decoder = PyAvDecoder(path, probe(path), max_surface_pixels=UHD_PIXELS)
    assert (decoder.surface_width, decoder.surface_height) == (720, 576)


FORMATS = [
    ("libx264", "yuv422p", "mp4"),
    ("libx264", "yuv444p", "mp4"),
    ("libx265", "yuv420p10le", "mp4"),
    ("prores_ks", "yuv422p10le", "mov"),
    ("libx264", "yuv420p10le", "mkv"),
    ("ffv1", "bgr0", "mkv"),
    ("ffv1", "yuv420p16le", "mkv"),
    ("mjpeg", "yuvj422p", "avi"),
    ("libvpx-vp9", "yuv420p", "webm"),
    ("mpeg4", "yuv420p", "avi"),
    ("mpeg2video", "yuv420p", "mpg"),
    ("libx264", "nv12", "mp4"),
]


@pytest.mark.parametrize(("codec", "pix_fmt", "suffix"), FORMATS)
def test_every_format_keeps_its_frame(tmp_path: Path, codec: str, pix_fmt: str, suffix: str) -> None:
    options = {"deadline": "realtime", "cpu-used": "8"} if "vpx" in codec else {}
    path = Clip(codec=codec, pix_fmt=pix_fmt, frames=12, options=options).write(tmp_path / f"clip.{suffix}")
    frames = decoded(path)
    assert [number_in(f.y) for f in frames] == list(range(12))
    for place, level in corners(frames[-1].y).items():
        assert level == pytest.approx(CORNERS[place], abs=9 if pix_fmt == "bgr0" else 3)
    u, v = frames[-1].uv[..., 0], frames[-1].uv[..., 1]
    assert (u[0, 0], u[0, -1], v[0, 0], v[-1, 0]) == pytest.approx((90, 160, 110, 150), abs=5)


def test_ten_bits_are_dithered_not_cut(tmp_path: Path) -> None:
    """A flat level between two 8-bit values comes out as a mixture whose mean is that level."""

    def grey(number: int, width: int, height: int) -> VideoFrame:
        frame = VideoFrame(width, height, "yuv420p10le")
        for plane, level in zip(frame.planes, (402, 512, 512), strict=True):  # 402 / 4 = 100.5
            np.frombuffer(plane, np.uint16)[:] = level
        return frame

    path = Clip(codec="ffv1", pix_fmt="yuv420p10le", frames=1, draw=grey).write(tmp_path / "deep.mkv")
    y = decoded(path)[0].y
    assert set(np.unique(y)) == {100, 101}
    assert y.mean() == pytest.approx(100.5, abs=0.1)


def test_full_range_becomes_limited(tmp_path: Path) -> None:
    def white_and_black(number: int, width: int, height: int) -> VideoFrame:
        frame = VideoFrame(width, height, "yuvj420p")
        for plane, level in zip(frame.planes, (255, 128, 128), strict=True):
            np.frombuffer(plane, np.uint8)[:] = level
        np.frombuffer(frame.planes[0], np.uint8)[: frame.planes[0].line_size * height // 2] = 0
        return frame

    clip = Clip(pix_fmt="yuvj420p", frames=2, draw=white_and_black, color=(1, 1, 1, 2))
    path = clip.write(tmp_path / "full.mp4")
    info = probe(path)
    y = decoded(path)[0].y
    assert info.video.color.full_range
    assert output_color(info.video) == ColorTags(1, 1, 1, full_range=False)
    assert (int(y[0, 0]), int(y[-1, 0])) == pytest.approx((16, 235), abs=1)


def test_colour_tags_follow_the_frame(tmp_path: Path) -> None:
    hdr = probe(Clip(frames=2, color=(9, 16, 9, 1)).write(tmp_path / "hdr.mp4")).video
    assert output_color(hdr) == ColorTags(1, 1, 1)
    untagged = replace(hdr, color=ColorTags())
    assert output_color(replace(untagged, coded_height=1080)) == ColorTags()
    assert output_color(replace(untagged, coded_height=576)).matrix == 6
    assert output_color(replace(untagged, pix_fmt="gbrp", color=ColorTags(1, 13, 0))).matrix == 1


@pytest.mark.parametrize(("codec", "suffix"), [("libx264", "mp4"), ("mpeg2video", "ts")])
def test_interlaced_frames_lose_their_combs_and_keep_their_number(tmp_path: Path, codec: str, suffix: str) -> None:
    clip = Clip(codec=codec, draw=combed, frames=40, interlaced=True, options={"b": "4M"})
    path = clip.write(tmp_path / f"fields.{suffix}")
    frames = decoded(path)
    assert len(frames) == 40
    steps = {b.pts - a.pts for a, b in pairwise(frames)}
    assert len(steps) == 1
    assert combing(frames[20].y) < 0.25 * combing(np.asarray(combed(20, 320, 180).to_ndarray()[:180]))
    assert_same_tail(path, (0, 1, 12, 13, 25, 39))


def combing(y: np.ndarray) -> float:
    """How much neighbouring lines differ more than lines of one field."""
    lines = y.astype(np.int16)
    return float(np.abs(lines[1:-1] - (lines[:-2] + lines[2:]) // 2).mean())


def test_progressive_frames_in_an_interlaced_stream_are_untouched(tmp_path: Path) -> None:
    """Progressive first, then interlaced: H.264 whose frames say which they are."""
    plain, fields = Clip(frames=24), Clip(frames=24, interlaced=True, draw=combed)
    path = joined(tmp_path / "mixed.ts", [plain, fields])
    frames = decoded(path)
    expected = decoded(Clip(frames=24).write(tmp_path / "plain.ts"))
    assert len(frames) == 48
    assert all(np.array_equal(a.y, b.y) for a, b in zip(frames[:24], expected, strict=True))
    assert combing(frames[40].y) < combing(expected[10].y) + 3
    assert_same_tail(path, (20, 23, 24, 25, 30))


def test_views_stay_valid_after_the_decoder_is_gone(tmp_path: Path) -> None:
    path = Clip(frames=30).write(tmp_path / "clip.mp4")
    decoder = PyAvDecoder(path, probe(path), max_surface_pixels=UHD_PIXELS)
    frames = [frame for batch in decoder.batches() for frame in batch.frames]
    decoder.close()
    del decoder
    assert [number_in(f.y) for f in frames] == list(range(30))


def test_planes_are_views_of_the_frames_memory() -> None:
    frame = image(3, 320, 180).reformat(format="nv12")
    y, uv = planes_of(frame)
    y[0, 0], uv[0, 0, 1] = 77, 99
    assert (bytes(frame.planes[0])[0], bytes(frame.planes[1])[1]) == (77, 99)
