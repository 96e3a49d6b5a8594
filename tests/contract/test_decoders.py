"""What every decoder must do, on every device. A new backend is one more entry in ``DECODERS``."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from engines.cpu.decode import PyAvDecoder
from engines.frames import Frame, MediaInfo
from engines.media.probe import probe
from engines.protocols import Decoder
from tests.support.cuda_on_host import emulated_decoder, gpu_decoder, needs_compiler
from tests.support.gpu_presence import needs_gpu
from tests.support.synth import Clip, corners, image, number_in

OpenDecoder = Callable[..., Decoder]
HD_PIXELS = 1920 * 1088


def _pyav(path: Path, info: MediaInfo, max_surface_pixels: int = HD_PIXELS) -> Decoder:
    return PyAvDecoder(path, info, max_surface_pixels=max_surface_pixels)


DECODERS = [
    pytest.param(_pyav, id="pyav"),
    pytest.param(partial(emulated_decoder, max_surface_pixels=HD_PIXELS), id="card-emulated", marks=needs_compiler),
    pytest.param(partial(gpu_decoder, max_surface_pixels=HD_PIXELS), id="nvdec", marks=[pytest.mark.gpu, needs_gpu]),
]


@pytest.fixture(params=DECODERS)
def open_decoder(request: pytest.FixtureRequest) -> OpenDecoder:
    return request.param


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hundred H.264 frames with B-frames, a keyframe every 24, unevenly spaced."""
    times = np.cumsum([0, *(20 + 13 * (n % 3) for n in range(99))]).tolist()
    clip = Clip(frames=100, pts=times, time_base=Fraction(1, 1000), options={"g": "24", "keyint_min": "24"})
    return clip.write(tmp_path_factory.mktemp("contract") / "uneven.mp4")


def frames_of(decoder: Decoder, start_pts: int | None = None, size: int = 8) -> list[Frame]:
    """All frames, copied, because a decoder may reuse its memory."""
    try:
        return [
            Frame(f.y.copy(), f.uv.copy(), f.pts, f.duration, f.replaced)
            for batch in decoder.batches(start_pts, size)
            for f in batch.frames
        ]
    finally:
        decoder.close()


def same(a: Frame, b: Frame) -> bool:
    return (a.pts, a.duration, a.replaced) == (b.pts, b.duration, b.replaced) and (
        np.array_equal(a.y, b.y) and np.array_equal(a.uv, b.uv)
    )


def test_every_frame_comes_once_in_order_at_its_time(open_decoder: OpenDecoder, recording: Path) -> None:
    info = probe(recording)
    frames = frames_of(open_decoder(recording, info))
    seconds = [float(f.pts * info.video.time_base) for f in frames]
    expected = np.cumsum([0, *(0.020 + 0.013 * (n % 3) for n in range(99))])
    assert [number_in(f.y) for f in frames] == list(range(100))
    assert np.allclose(seconds, expected, atol=1e-9)
    assert not any(f.replaced for f in frames)


def test_durations_reach_to_the_next_frame(open_decoder: OpenDecoder, recording: Path) -> None:
    frames = frames_of(open_decoder(recording, probe(recording)))
    assert all(a.pts + a.duration == b.pts for a, b in pairwise(frames))
    assert frames[-1].duration > 0


@pytest.mark.parametrize("size", [1, 7, 64])
def test_batches_have_the_asked_size_and_one_shape(open_decoder: OpenDecoder, recording: Path, size: int) -> None:
    info = probe(recording)
    decoder = open_decoder(recording, info)
    batches = list(decoder.batches(size=size))
    decoder.close()
    assert [len(b) for b in batches[:-1]] == [size] * (len(batches) - 1)
    assert sum(len(b) for b in batches) == 100
    assert {b.time_base for b in batches} == {info.video.time_base}
    shapes = {(f.y.shape, f.uv.shape) for b in batches for f in b.frames}
    assert shapes == {((180, 320), (90, 160, 2))}


@pytest.mark.parametrize("first", [0, 1, 23, 24, 25, 47, 60, 99])
def test_starting_in_the_middle_gives_the_tail_of_the_whole(
    open_decoder: OpenDecoder, recording: Path, first: int
) -> None:
    info = probe(recording)
    whole = frames_of(open_decoder(recording, info))
    tail = frames_of(open_decoder(recording, info), start_pts=whole[first].pts)
    assert len(tail) == 100 - first
    assert all(same(a, b) for a, b in zip(whole[first:], tail, strict=True))


def test_a_start_between_two_frames_begins_with_the_next(open_decoder: OpenDecoder, recording: Path) -> None:
    info = probe(recording)
    whole = frames_of(open_decoder(recording, info))
    tail = frames_of(open_decoder(recording, info), start_pts=whole[30].pts + 1)
    assert tail[0].pts == whole[31].pts


def test_a_start_after_the_end_gives_nothing(open_decoder: OpenDecoder, recording: Path) -> None:
    assert frames_of(open_decoder(recording, probe(recording)), start_pts=10**9) == []


def test_two_runs_give_the_same_frames(open_decoder: OpenDecoder, recording: Path) -> None:
    info = probe(recording)
    first, second = (frames_of(open_decoder(recording, info)) for _ in range(2))
    assert all(same(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("size", [(319, 179), (320, 179), (319, 180)])
def test_odd_sizes_keep_every_line_and_column(open_decoder: OpenDecoder, tmp_path: Path, size: tuple[int, int]) -> None:
    path = Clip(*size, frames=3, codec="ffv1").write(tmp_path / "odd.mkv")
    width, height = size
    frame = frames_of(open_decoder(path, probe(path)))[0]
    luma = image(0, width, height).planes[0]
    expected = np.frombuffer(luma, np.uint8).reshape(height, luma.line_size)[:, :width]
    assert frame.y.shape == (height, width)
    assert frame.uv.shape == ((height + 1) // 2, (width + 1) // 2, 2)
    assert np.array_equal(frame.y, expected)


def test_large_frames_are_scaled_to_an_even_surface(open_decoder: OpenDecoder, tmp_path: Path) -> None:
    path = Clip(641, 361, frames=3, pix_fmt="yuv444p").write(tmp_path / "large.mp4")
    decoder = open_decoder(path, probe(path), max_surface_pixels=320 * 180)
    width, height = decoder.surface_width, decoder.surface_height
    frames = frames_of(decoder)
    assert width % 2 == height % 2 == 0
    assert width * height <= 320 * 180
    assert abs(width / height - 641 / 361) < 0.03
    assert {f.y.shape for f in frames} == {(height, width)}
    assert [number_in(f.y) for f in frames] == [0, 1, 2]
    assert corners(frames[0].y)["top left"] == pytest.approx(200, abs=3)
