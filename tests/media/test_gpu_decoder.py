"""The GPU's decoder beside the CPU's: same frames at the same times, and an honest word where the CPU steps in."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs

from engines.cpu.decode import PyAvDecoder
from engines.cuda.decoding.nvdec import GPURefusedError
from engines.errors import DecodeFailedError, DeviceUnavailableError, UnsupportedCodecError
from engines.frames import Frame
from engines.media.probe import probe
from tests.support.cuda_on_host import (
    HostDecoder,
    SoftwareCodec,
    emulated_decoder,
    gpu_decoder,
    hwaccel_decoder,
    needs_compiler,
)
from tests.support.damage import noisy, spoil, zeroed
from tests.support.decoding import all_of, assert_alike
from tests.support.edit_lists import Cut, set_edits
from tests.support.gpu_presence import needs_gpu
from tests.support.synth import Clip, combed, number_in

OpenDecoder = Callable[..., HostDecoder]
PIXELS = 1920 * 1088
MILLISECONDS = Fraction(1, 1000)
UNEVEN = np.cumsum([0, *(20 + 13 * (n % 3) for n in range(59))]).tolist()
OPEN_GOP = {"x264-params": "open-gop=1:keyint=12:min-keyint=12:bframes=3", "preset": "veryfast"}
REALTIME = {"deadline": "realtime", "cpu-used": "8", "g": "12"}
FULL_RANGE = (1, 1, 1, 2)

SAME_DB, ROUNDED_DB = 60.0, 45.0  # bit-exact codecs; dither and range are rounded elsewhere than on the CPU

ON_THE_GPU = {
    "h264 mp4": ("mp4", Clip(frames=60), SAME_DB),
    "h264 mkv": ("mkv", Clip(frames=60), SAME_DB),
    "h264 ts": ("ts", Clip(frames=60), SAME_DB),
    "h264 avi": ("avi", Clip(frames=60), SAME_DB),
    "h264 flv": ("flv", Clip(frames=60), SAME_DB),
    "h264 uneven": ("mp4", Clip(frames=60, pts=UNEVEN, time_base=MILLISECONDS), SAME_DB),
    "h264 open groups": ("ts", Clip(frames=60, options=OPEN_GOP), SAME_DB),
    "h264 intra refresh": (
        "mkv",
        Clip(frames=60, options={"x264-params": "intra-refresh=1:keyint=12", "preset": "veryfast"}),
        SAME_DB,
    ),
    "h264 fragments": ("mp4", Clip(frames=60, container_options={"movflags": "frag_keyframe+empty_moov"}), SAME_DB),
    "h264 one frame": ("mp4", Clip(frames=1), SAME_DB),
    "h264 640x360": ("mp4", Clip(640, 360, frames=12), SAME_DB),
    "h264 full range": ("mp4", Clip(frames=12, pix_fmt="yuvj420p", color=FULL_RANGE), ROUNDED_DB),
    "hevc": ("mp4", Clip(frames=60, codec="libx265", options={"x265-params": "log-level=none"}), SAME_DB),
    "hevc 10 bits": (
        "mkv",
        Clip(frames=30, codec="libx265", pix_fmt="yuv420p10le", options={"x265-params": "log-level=none"}),
        ROUNDED_DB,
    ),
    "vp9": ("webm", Clip(frames=40, codec="libvpx-vp9", options=REALTIME), SAME_DB),
} | {
    f"h264 turned {deg}{' mirrored' * mirrored}": ("mp4", Clip(frames=3, rotation=deg, mirrored=mirrored), SAME_DB)
    for deg in (0, 90, 180, 270)
    for mirrored in (False, True)
    if deg or mirrored
}

ON_THE_CPU = {
    "interlaced": ("mp4", Clip(frames=24, interlaced=True, draw=combed), "interlaced"),
    "4:4:4": ("mp4", Clip(frames=12, pix_fmt="yuv444p"), "yuv444p"),
    "mpeg4": ("avi", Clip(frames=24, codec="mpeg4"), "mpeg4"),
    "too small": ("mp4", Clip(32, 32, frames=3), "32x32"),
}

GPUS = [
    pytest.param(emulated_decoder, id="emulated", marks=needs_compiler),
    pytest.param(gpu_decoder, id="nvdec", marks=[pytest.mark.gpu, needs_gpu]),
    pytest.param(hwaccel_decoder, id="pyav-cuda", marks=[pytest.mark.gpu, needs_gpu]),
]


@pytest.fixture(params=GPUS)
def open_gpu(request: pytest.FixtureRequest) -> OpenDecoder:
    return request.param


def reference(path: Path, pixels: int = PIXELS) -> tuple[list[Frame], PyAvDecoder]:
    decoder = PyAvDecoder(path, probe(path), max_surface_pixels=pixels)
    return all_of(decoder), decoder


def assert_same_tail(open_gpu: OpenDecoder, path: Path, whole: list[Frame], starts: Iterable[int]) -> None:
    for first in starts:
        tail = all_of(open_gpu(path, probe(path), PIXELS), whole[first].pts)
        assert_alike(tail, whole[first:], SAME_DB)


@pytest.mark.parametrize("case", ON_THE_GPU)
def test_the_gpu_shows_what_the_cpu_would(open_gpu: OpenDecoder, tmp_path: Path, case: str) -> None:
    suffix, clip, least_db = ON_THE_GPU[case]
    path = clip.write(tmp_path / f"clip.{suffix}")
    decoder = open_gpu(path, probe(path), PIXELS)
    frames = all_of(decoder)
    expected, cpu = reference(path)
    assert not decoder.cpu_fallback
    assert decoder.name != "pyav"
    assert (decoder.color, decoder.surface_width) == (cpu.color, cpu.surface_width)
    assert_alike(frames, expected, least_db)
    assert_same_tail(open_gpu, path, frames, [n for n in (0, 1, 13, 30) if n < len(frames)])


@pytest.mark.parametrize("case", ON_THE_CPU)
def test_what_the_gpu_cannot_is_decoded_on_the_cpu_and_said(open_gpu: OpenDecoder, tmp_path: Path, case: str) -> None:
    suffix, clip, reason = ON_THE_CPU[case]
    path = clip.write(tmp_path / f"clip.{suffix}")
    with capture_logs() as lines:
        decoder = open_gpu(path, probe(path), PIXELS)
    frames = all_of(decoder)
    assert decoder.cpu_fallback
    assert decoder.name == "pyav"
    assert [(line["event"], line["log_level"]) for line in lines] == [("decoding on the CPU", "warning")]
    assert reason in lines[0]["reason"]
    assert_alike(frames, reference(path)[0], SAME_DB)


def test_the_policy_may_forbid_the_cpu(open_gpu: OpenDecoder, tmp_path: Path) -> None:
    path = Clip(frames=3, pix_fmt="yuv444p").write(tmp_path / "clip.mp4")
    with pytest.raises(UnsupportedCodecError, match="yuv444p"):
        open_gpu(path, probe(path), PIXELS, undecodable="fail")
    with pytest.raises(DeviceUnavailableError, match="yuv444p") as caught:
        open_gpu(path, probe(path), PIXELS, undecodable="wait")
    assert caught.value.environmental


@needs_compiler
@pytest.mark.parametrize("undecodable", ["cpu", "wait", "fail"])
def test_a_refusal_is_told_before_anything_follows_from_it(tmp_path: Path, undecodable: str) -> None:
    path = Clip(frames=3, pix_fmt="yuv444p").write(tmp_path / "clip.mp4")
    refusals: list[str] = []
    with suppress(UnsupportedCodecError, DeviceUnavailableError):
        emulated_decoder(path, probe(path), PIXELS, on_refusal=refusals.append, undecodable=undecodable).close()
    assert refusals == ["the GPU does not decode yuv444p"]


def test_large_frames_are_scaled_to_the_surface(open_gpu: OpenDecoder, tmp_path: Path) -> None:
    path = Clip(642, 362, frames=3, options={"crf": "1"}).write(tmp_path / "large.mp4")
    decoder = open_gpu(path, probe(path), 320 * 180)
    frames = all_of(decoder)
    expected, _ = reference(path, 320 * 180)
    assert_alike(frames, expected, 28.0)  # other filters than swscale's, on hard edges
    assert [number_in(f.y) for f in frames] == [0, 1, 2]


def test_lost_frames_are_replaced_and_counted(open_gpu: OpenDecoder, tmp_path: Path) -> None:
    path = Clip(frames=48, options={"bf": "0"}).write(tmp_path / "clip.mp4")
    spoil(path, range(16, 20), zeroed)
    decoder = open_gpu(path, probe(path), PIXELS)
    frames = all_of(decoder)
    assert [f.pts for f in frames] == [f.pts for f in reference(path)[0]]
    assert [n for n, f in enumerate(frames) if f.replaced] == [16, 17, 18, 19]
    assert [number_in(f.y) for f in frames[15:20]] == [15] * 5
    assert decoder.replaced_frames == 4
    assert_same_tail(open_gpu, path, frames, (0, 15, 18, 24))


@pytest.mark.parametrize("last", [71, 83])
def test_longer_gaps_are_filled_as_on_the_cpu(open_gpu: OpenDecoder, tmp_path: Path, last: int) -> None:
    """Interpolated up to two seconds, then black; the gap ends before a keyframe."""
    path = Clip(frames=96, options={"bf": "0"}).write(tmp_path / "clip.mp4")
    spoil(path, range(13, last + 1), zeroed)
    frames = all_of(open_gpu(path, probe(path), PIXELS))
    assert [n for n, f in enumerate(frames) if f.replaced] == list(range(13, last + 1))
    assert_alike(frames, reference(path)[0], ROUNDED_DB)
    assert_same_tail(open_gpu, path, frames, (20, 60))


@pytest.mark.parametrize(("codec", "suffix"), [("libx264", "mp4"), ("libx264", "mkv"), ("libx265", "mp4")])
def test_damage_changes_neither_number_nor_times(
    open_gpu: OpenDecoder, tmp_path: Path, codec: str, suffix: str
) -> None:
    """A GPU conceals damage inside a frame and does not say so; what it loses is replaced."""
    path = Clip(codec=codec, frames=60).write(tmp_path / f"clip.{suffix}")
    times = [f.pts for f in reference(path)[0]]
    spoil(path, range(26, 33), noisy)
    decoder = open_gpu(path, probe(path), PIXELS)
    frames = all_of(decoder)
    assert [f.pts for f in frames] == times
    assert decoder.replaced_frames == sum(f.replaced for f in frames)
    assert number_in(frames[-1].y) == 59


def test_nothing_decodable_is_an_error(open_gpu: OpenDecoder, tmp_path: Path) -> None:
    path = Clip(frames=24).write(tmp_path / "clip.mp4")
    info = probe(path)
    spoil(path, range(24), zeroed)
    with pytest.raises(DecodeFailedError):
        all_of(open_gpu(path, info, PIXELS))


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_several_edits_are_decoded_on_the_cpu(tmp_path: Path, open_gpu: OpenDecoder, codec: str) -> None:
    """Out of order, and between two frames; also from the middle of an edit, and from an edit's first frame."""
    options = {"x265-params": "log-level=none:keyint=12:bframes=2"} if codec == "libx265" else {}
    clip = Clip(frames=60, codec=codec, options=options).write(tmp_path / "clip.mp4")
    path = set_edits(clip, [Cut(0.5, 1.21), Cut(0.5, 0.33), Cut(0.5, 0.73), Cut(0.4, 0.7)])
    expected, _ = reference(path)
    decoder = open_gpu(path, probe(path), PIXELS)
    assert_alike(all_of(decoder), expected, SAME_DB)
    assert decoder.cpu_fallback
    assert decoder.name == "pyav"
    assert_same_tail(open_gpu, path, expected, [1, 15, 16, 20, 31, len(expected) - 1])


@pytest.mark.parametrize(("cut", "stays"), [(Cut(0.8, 1.0 - 0.8), False), (Cut(1.67, 0.33), True)])
def test_one_edit_shows_what_the_cpu_would(tmp_path: Path, open_gpu: OpenDecoder, cut: Cut, stays: bool) -> None:
    """Where it ends within a group of frames, the CPU decodes the last of them."""
    path = set_edits(Clip(frames=60).write(tmp_path / "clip.mp4"), [cut])
    expected, _ = reference(path)
    decoder = open_gpu(path, probe(path), PIXELS)
    assert_alike(all_of(decoder), expected, SAME_DB)
    assert decoder.cpu_fallback is not stays
    assert decoder.name != "pyav"
    assert_same_tail(open_gpu, path, expected, [1, 12, len(expected) - 1])


class _GivesUp(SoftwareCodec):
    """A session that breaks after some packets."""

    packets = 0

    def decode(self, packet: Any) -> Any:
        self.packets += 1
        if self.packets > 20:
            raise GPURefusedError("the session is gone")
        return super().decode(packet)


@needs_compiler
def test_the_cpu_goes_on_where_the_gpu_gave_up(tmp_path: Path) -> None:
    path = Clip(frames=60).write(tmp_path / "clip.mp4")
    decoder = emulated_decoder(path, probe(path), PIXELS, open_codec=_GivesUp)
    with capture_logs() as lines:
        frames = all_of(decoder)
    assert_alike(frames, reference(path)[0], SAME_DB)
    assert decoder.cpu_fallback
    assert decoder.name == "software, pyav"
    assert [line["reason"] for line in lines] == ["the session is gone"]


@needs_compiler
def test_a_gpu_that_gives_up_may_end_the_job(tmp_path: Path) -> None:
    path = Clip(frames=60).write(tmp_path / "clip.mp4")
    decoder = emulated_decoder(path, probe(path), PIXELS, open_codec=_GivesUp, undecodable="wait")
    with pytest.raises(DeviceUnavailableError, match="the session is gone"):
        all_of(decoder)
