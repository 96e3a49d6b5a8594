"""What is found in a frame does not depend on the frames that it is looked at together with, nor on the process.

So a recording that is analysed in parts gives exactly what it gives in one go.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from engines.cuda.decoding.surfaces import upload
from engines.frames import ColorTags, Frame, MediaInfo, VideoInfo
from engines.registry import open_backend
from engines.settings import DeviceSettings
from pipeline.degradation.workload import Workload
from pipeline.detection.face_detector import FaceFinder
from pipeline.people import Face
from pipeline.settings import DetectSettings
from tests.support.gpu_presence import needs_gpu
from tests.support.recordings import image, walk
from tests.support.still_images import nv12

COUNT = 16
WIDTH, HEIGHT = 1920, 1080
BACKENDS = ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, needs_gpu])]


def pictures() -> list[Frame]:
    """Two people who walk past each other, in bright and in dark frames."""
    people = walk(0.2, 0.8, 1), walk(0.75, 0.3, 1)
    drawn = [image(n / COUNT, people, WIDTH, HEIGHT) for n in range(COUNT)]
    return [nv12(shown if n % 3 else shown // 4) for n, shown in enumerate(drawn)]


@contextmanager
def finder(kind: str) -> Iterator[tuple[FaceFinder, list[Frame]]]:
    """The models of a backend, and the pictures in its memory."""
    size = {"coded_width": WIDTH, "coded_height": HEIGHT, "width": WIDTH, "height": HEIGHT}
    video = VideoInfo(
        codec="h264", **size, pix_fmt="yuv420p", bit_depth=8, fps=Fraction(30), vfr=False, frames_from_header=COUNT,
        rotation_deg=0, sample_aspect=Fraction(1), interlaced=False, time_base=Fraction(1, 30), start_pts=0,
        duration_s=1.0, color=ColorTags(),
    )  # fmt: skip
    device = DeviceSettings.model_validate({"backend": kind})
    with closing(open_backend(device)) as backend:
        info = MediaInfo("mp4", 1, 1.0, video, ())
        stream: Any = getattr(backend, "stream", None)
        frames = pictures()
        if stream is not None:
            frames = [Frame(*upload(stream, (f.y, f.uv)), f.pts, f.duration) for f in frames]
        with closing(FaceFinder(backend, DetectSettings(), device, info, Workload())) as found:
            yield found, frames


def looked_at(finder: FaceFinder, frames: Sequence[Frame], together: int) -> tuple[list[Any], np.ndarray]:
    """The faces of all frames, and their embeddings, asked for in groups of ``together``."""
    groups = [frames[first : first + together] for first in range(0, len(frames), together)]
    faces = [found for group in groups for found in finder.find(group)]
    pairs: list[tuple[Frame, Face]] = [
        (frame, face) for frame, some in zip(frames, faces, strict=True) for face in some
    ]
    parts = [pairs[first : first + together] for first in range(0, len(pairs), together)]
    return faces, np.concatenate([finder.embed(part) for part in parts])


def digest(kind: str) -> str:
    with finder(kind) as (models, frames):
        faces, embeddings = looked_at(models, frames, 3)
    return hashlib.sha256(repr(faces).encode() + embeddings.tobytes()).hexdigest()


@pytest.mark.parametrize("kind", BACKENDS)
def test_faces_and_embeddings_are_the_same_bits_in_any_grouping(kind: str) -> None:
    with finder(kind) as (models, frames):
        alone, embedded = looked_at(models, frames, 1)
        assert sum(map(len, alone)) >= COUNT
        for together in (2, 3, 8, COUNT):
            faces, embeddings = looked_at(models, frames, together)
            assert faces == alone
            assert np.array_equal(embeddings, embedded)
        backwards, _ = looked_at(models, frames[::-1], 8)
        assert backwards[::-1] == alone


@pytest.mark.parametrize("kind", BACKENDS)
def test_another_process_finds_the_same_bits(kind: str) -> None:
    command = f"from tests.contract.test_grouping import digest; print(digest({kind!r}))"
    other = subprocess.run([sys.executable, "-c", command], capture_output=True, check=True)
    assert other.stdout.decode().split()[-1] == digest(kind)
