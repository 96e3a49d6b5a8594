"""Whole jobs on a recording whose size, pixel aspect and orientation change midway."""

from __future__ import annotations

import gzip
import json
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.video.frame import VideoFrame

from engines.settings import DeviceSettings
from pipeline.errors import JobStopped
from pipeline.job import JobSpec
from pipeline.runner import run_job
from pipeline.settings import SegmentSettings
from tests.support.gpu_presence import needs_gpu
from tests.support.recordings import packets
from tests.support.still_images import psnr
from tests.support.synth import Clip, joined

FPS = 5
PER_PART = 6
DEVICES = [pytest.param("cpu", id="cpu"), pytest.param("cuda", id="cuda", marks=[pytest.mark.gpu, needs_gpu])]


def discs(_number: int, width: int, height: int, aspect: Fraction = Fraction(1)) -> VideoFrame:
    """A white disc in the middle of either half, round when shown, on fine black and grey stripes."""
    shown = width * aspect
    radius = min(float(shown) / 2, height) * 0.35
    x, y = (np.arange(width)[None, :] + 0.5) * float(aspect), np.arange(height)[:, None] + 0.5
    near = np.minimum(np.abs(x - float(shown) / 4), np.abs(x - float(shown) * 3 / 4))
    stripes = np.where(np.arange(width) // 2 % 2, 40, 90)[None, :]
    luma = np.where(np.hypot(near, y - height / 2) < radius, 235, stripes).astype(np.uint8)
    frame = VideoFrame(width, height, "yuv420p")
    for plane, values in zip(frame.planes, (luma, 128, 128), strict=True):
        np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width] = values
    return frame


def clip(width: int, height: int, aspect: Fraction = Fraction(1)) -> Clip:
    return Clip(
        width, height, frames=PER_PART, fps=Fraction(FPS), aspect=aspect, draw=partial(discs, aspect=aspect),
        options={"crf": "8"},
    )  # fmt: skip


SMALL, LARGE = clip(320, 180), clip(1280, 720)
PARTS = [SMALL, LARGE, clip(480, 360, Fraction(4, 3)), clip(180, 320)]


def spec_for(source: Path, work_dir: Path, backend: str, **fields: bool) -> JobSpec:
    work_dir.mkdir()
    device = DeviceSettings(backend=backend)
    return JobSpec("job", source, source.name, work_dir, segments=SegmentSettings(seconds=1), device=device, **fields)


def run(spec: JobSpec, should_stop=lambda: False):
    return run_job(spec, on_progress=lambda _: None, should_stop=should_stop)


def rows(result):
    return [json.loads(line) for line in gzip.decompress(result.files.tracks.read_bytes()).splitlines()]


def shown(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as video:
        return [frame.to_ndarray(format="gray") for frame in video.decode(video=0)]


@pytest.fixture(scope="module", params=DEVICES)
def backend(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return joined(tmp_path_factory.mktemp("changes") / "changes.ts", PARTS)


@pytest.fixture(scope="module")
def finished(recording: Path, backend: str, tmp_path_factory: pytest.TempPathFactory):
    return run(spec_for(recording, tmp_path_factory.mktemp("whole") / "work", backend, debug_overlay=True))


def test_the_debug_video_has_every_frame_in_one_size(finished) -> None:
    frames = shown(finished.files.debug)
    assert len(frames) == len(PARTS) * PER_PART
    assert {frame.shape for frame in frames} == {(180, 320)}
    assert frames[-1][:, :80].mean() < 5  # bars beside the tall frame


def test_round_shapes_stay_round(finished) -> None:
    for number, frame in enumerate(shown(finished.files.video)):
        for tile in (frame[:, :960], frame[:, 960:]):
            _, _, width, height = cv2.boundingRect((cv2.blur(tile, (3, 3)) > 190).astype(np.uint8))
            assert width / height == pytest.approx(1, abs=0.03), number


def test_each_part_fills_the_tiles(finished) -> None:
    """There are no bars: stripes, or the disc, reach every edge."""
    for frame in shown(finished.files.video)[:: PER_PART // 2]:
        for edge in (frame[:, 2], frame[:, 957], frame[:, 962], frame[:, -3], frame[2], frame[-3]):
            assert edge.mean() > 12


def test_the_large_part_is_as_sharp_as_in_a_large_file(finished, backend: str, tmp_path: Path) -> None:
    alone = run(spec_for(LARGE.write(tmp_path / "large.ts"), tmp_path / "work", backend))
    grown = shown(finished.files.video)[PER_PART : 2 * PER_PART]
    for frame, other in zip(grown, shown(alone.files.video), strict=True):
        assert psnr(frame, other) > 40
        assert detail(frame) == pytest.approx(detail(other), rel=0.04)
    assert detail(grown[0]) > 2 * detail(shown(finished.files.video)[0])


def detail(frame: np.ndarray) -> float:
    return float(np.abs(np.diff(frame.astype(float), axis=1)).mean())


def test_rows_are_in_pixels_of_the_frame_that_they_belong_to(finished) -> None:
    sizes = [(320, 180), (1280, 720), (640, 360), (180, 320)]
    for number, row in enumerate(rows(finished)):
        part = number // PER_PART
        assert row.get("picture") == (None if part == 0 else list(sizes[part]))
        width, height = sizes[part]
        for side in ("left", "right"):
            x, y, w, h = row[side]["crop"]
            assert min(x, y) >= 0
            assert x + w <= width
            assert y + h <= height
            assert w == pytest.approx(width / 2, abs=1)


def test_a_stopped_job_gives_the_same_result(recording: Path, finished, backend: str, tmp_path: Path) -> None:
    """Stopped at the end of every segment: before, between and behind the changes."""
    spec = spec_for(recording, tmp_path / "work", backend)
    for _ in range(len(PARTS) * PER_PART // FPS):
        with pytest.raises(JobStopped):
            run(spec, should_stop=lambda: True)
    resumed = run(spec)
    assert packets(resumed.files.video) == packets(finished.files.video)
    assert rows(resumed) == rows(finished)
