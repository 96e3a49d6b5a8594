"""HDR and BT.2020 through every decoder: the colours of the float reference, to a stated tolerance, and true tags.

The recordings are patches of known colours in 10 bits. Compared is each patch's mean over its middle, as the dither
makes of one level a mixture of two: within 1.5 steps of 8 bits in luma and 3 in chroma for colours like those of skin,
cloth and greys; within 9 where a colour is so pure that it lies at the edge of BT.709.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from av.video.frame import VideoFrame

from engines.cpu.decode import PyAvDecoder
from engines.frames import ColorTags, Frame
from engines.media.probe import probe
from tests.support import tone_reference as reference
from tests.support.cuda_on_host import emulated_decoder, gpu_decoder, hwaccel_decoder, needs_compiler
from tests.support.gpu_presence import needs_gpu
from tests.support.synth import Clip
from tests.support.tone_reference import X265

PIXELS = 3840 * 2160
SIDE = 32  # of a patch
COLUMNS, ROWS = 10, 6
LUMA_STEPS, CHROMA_STEPS, PURE_STEPS = 1.5, 3.0, 9.0
DISPLAY = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)"
MASTERED = f"log-level=none:lossless=1:bframes=0:master-display={DISPLAY}L({{}},50)"


def _dull() -> list[reference.Rgb]:
    """Greys, and colours of little saturation."""
    rng = np.random.default_rng(5)
    greys = [(e, e, e) for e in np.linspace(0, 1, 20)]
    others = np.clip(rng.uniform(0.2, 0.8, (20, 1)) + rng.uniform(-0.04, 0.04, (20, 3)), 0, 1)
    return [*greys, *map(tuple, others)]


DULL = _dull()
PURE = [tuple(c) for c in np.random.default_rng(6).random((COLUMNS * ROWS - len(DULL), 3))]
COLOURS = [reference.ten_bits(c) for c in (*DULL, *PURE)]
FULL_COLOURS = [reference.ten_bits(c, reference.FULL) for c in (*DULL, *PURE)]


def full_patches(number: int, width: int, height: int) -> VideoFrame:
    return patches(number, width, height, FULL_COLOURS)


def patches(_number: int, width: int, height: int, colours: list[tuple[int, int, int]] = COLOURS) -> VideoFrame:
    frame = VideoFrame(width, height, "yuv420p10le")
    for n, plane in enumerate(frame.planes):
        rows = np.frombuffer(plane, np.uint16).reshape(plane.height, plane.line_size // 2)
        levels = np.array([c[n] for c in colours], np.uint16).reshape(ROWS, COLUMNS)
        side = SIDE if n == 0 else SIDE // 2
        rows[:, : plane.width] = np.kron(levels, np.ones((side, side), np.uint16))
    return frame


def eight_bit_patches(number: int, width: int, height: int) -> VideoFrame:
    frame, wide = VideoFrame(width, height, "yuv420p"), patches(number, width, height)
    for target, source in zip(frame.planes, wide.planes, strict=True):
        levels = np.frombuffer(source, np.uint16).reshape(source.height, -1)[:, : source.width]
        np.frombuffer(target, np.uint8).reshape(target.height, -1)[:, : target.width] = (levels + 2) // 4
    return frame


@dataclass(frozen=True)
class Case:
    clip: Clip
    transfer: str
    peak: float = 1000.0
    suffix: str = "mkv"


DEEP = Clip(COLUMNS * SIDE, ROWS * SIDE, frames=2, codec="libx265", pix_fmt="yuv420p10le", draw=patches, options=X265)
CASES = {
    "hlg": Case(replace(DEEP, color=(9, 18, 9, 1)), "hlg"),
    "pq": Case(replace(DEEP, color=(9, 16, 9, 1)), "pq"),
    "pq 4000": Case(
        replace(DEEP, color=(9, 16, 9, 1), options={"x265-params": MASTERED.format(40_000_000)}), "pq", 4000.0
    ),
    "pq 4000, content 600": Case(
        replace(DEEP, color=(9, 16, 9, 1), options={"x265-params": MASTERED.format(40_000_000) + ":max-cll=600,200"}),
        "pq", 600.0, "mkv",
    ),
    "hlg full range": Case(replace(DEEP, color=(9, 18, 9, 2), draw=full_patches), "hlg"),
    "bt2020": Case(replace(DEEP, color=(9, 14, 9, 1)), "sdr"),
    "hlg 8 bits": Case(
        replace(DEEP, codec="libx264", pix_fmt="yuv420p", draw=eight_bit_patches, options={"qp": "0"},
                color=(9, 18, 9, 1)), "hlg", suffix="mp4",
    ),
}  # fmt: skip

DECODERS = [
    pytest.param(partial(PyAvDecoder), id="pyav"),
    pytest.param(emulated_decoder, id="card-emulated", marks=needs_compiler),
    pytest.param(gpu_decoder, id="nvdec", marks=[pytest.mark.gpu, needs_gpu]),
    pytest.param(hwaccel_decoder, id="pyav-cuda", marks=[pytest.mark.gpu, needs_gpu]),
]
OpenDecoder = Callable[..., PyAvDecoder]


@pytest.fixture(params=DECODERS)
def open_decoder(request: pytest.FixtureRequest) -> OpenDecoder:
    return request.param


def first_of(decoder: PyAvDecoder) -> Frame:
    frame = next(iter(decoder.batches())).frames[0]
    frame = replace(frame, y=frame.y.copy(), uv=frame.uv.copy())
    decoder.close()
    return frame


def middles(frame: Frame) -> np.ndarray:
    """Mean Y', Cb', Cr' of each patch's middle, shape (patches, 3)."""
    planes = [frame.y.astype(float), frame.uv[..., 0].astype(float), frame.uv[..., 1].astype(float)]
    means = []
    for plane in planes:
        side = plane.shape[1] // COLUMNS
        cells = plane.reshape(ROWS, side, COLUMNS, side)
        means.append(cells[:, side // 4 : -side // 4, :, side // 4 : -side // 4].mean(axis=(1, 3)).reshape(-1))
    return np.stack(means, axis=1)


def expected_of(case: Case) -> np.ndarray:
    if case.clip.draw is full_patches:
        colours = [reference.from_ten_bits(c, reference.FULL) for c in FULL_COLOURS]
        return np.stack([reference.eight_bits(reference.sdr(c, case.transfer, case.peak)) for c in colours])
    deep = case.clip.pix_fmt == "yuv420p10le"
    stored = [c if deep else tuple((v + 2) // 4 * 4 for v in c) for c in COLOURS]
    return np.stack([
        reference.eight_bits(reference.sdr(reference.from_ten_bits(c), case.transfer, case.peak)) for c in stored
    ])  # fmt: skip


def assert_close(frame: Frame, expected: np.ndarray) -> None:
    error = np.abs(middles(frame) - expected)
    dull = error[: len(DULL)]
    assert dull[:, 0].max() < LUMA_STEPS
    assert dull[:, 1:].max() < CHROMA_STEPS
    assert error.max() < PURE_STEPS


@pytest.mark.parametrize("name", CASES)
def test_colours_are_those_of_the_reference(open_decoder: OpenDecoder, tmp_path: Path, name: str) -> None:
    case = CASES[name]
    path = case.clip.write(tmp_path / f"clip.{case.suffix}")
    decoder = open_decoder(path, probe(path), max_surface_pixels=PIXELS)
    frame = first_of(decoder)
    assert decoder.color == ColorTags(1, 1, 1, full_range=False)
    assert_close(frame, expected_of(case))


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_turned_frames_are_mapped_too(open_decoder: OpenDecoder, tmp_path: Path, rotation: int) -> None:
    case = CASES["hlg 8 bits"]
    path = replace(case.clip, rotation=rotation).write(tmp_path / "turned.mp4")
    frame = first_of(open_decoder(path, probe(path), max_surface_pixels=PIXELS))
    turns = rotation // 90
    back = replace(frame, y=np.rot90(frame.y, turns), uv=np.rot90(frame.uv, turns))
    assert_close(back, expected_of(case))


def test_frames_that_are_scaled_down_keep_their_colours(open_decoder: OpenDecoder, tmp_path: Path) -> None:
    case = CASES["pq"]
    path = case.clip.write(tmp_path / "clip.mkv")
    frame = first_of(open_decoder(path, probe(path), max_surface_pixels=160 * 96))
    assert frame.y.shape == (96, 160)
    assert_close(frame, expected_of(case))


def test_the_container_may_be_the_only_one_that_tells(open_decoder: OpenDecoder, tmp_path: Path) -> None:
    """An encoder that writes no colours into the stream, in a container that has them."""
    quiet = {"x265-params": "log-level=none:lossless=1:bframes=0:colorprim=undef:transfer=undef:colormatrix=undef"}
    path = replace(CASES["hlg"].clip, color=(9, 18, 9, 1), options=quiet).write(tmp_path / "clip.mkv")
    decoder = open_decoder(path, probe(path), max_surface_pixels=PIXELS)
    assert_close(first_of(decoder), expected_of(CASES["hlg"]))
