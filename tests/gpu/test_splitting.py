"""A recording that several workers share on a GPU gives the packets of one that nobody shares."""

from __future__ import annotations

import hashlib
from pathlib import Path

import av
import pytest

from engines.settings import DeviceSettings
from pipeline.job import JobSpec
from pipeline.runner import run_job
from pipeline.settings import ProfileSettings, SegmentSettings
from tests.support.gpu_presence import needs_gpu
from tests.support.process_crew import ProcessCrew
from tests.support.recordings import still, walk, write_recording

cupy = pytest.importorskip("cupy")
pytestmark = [pytest.mark.gpu, needs_gpu]


def packets(path: Path) -> str:
    digest = hashlib.sha256()
    with av.open(str(path)) as video:
        for packet in video.demux(video=0):
            digest.update(bytes(packet))
    return digest.hexdigest()


def run(source: Path, work_dir: Path, workers: int) -> tuple[str, dict[str, int]]:
    work_dir.mkdir()
    spec = JobSpec(
        "job",
        source,
        source.name,
        work_dir,
        profile=ProfileSettings(preset="ultrafast", encoder="x264"),
        device=DeviceSettings(backend="cuda"),
        segments=SegmentSettings(seconds=2),
    )
    result = run_job(
        spec,
        on_progress=lambda _: None,
        should_stop=lambda: False,
        gather_crew=(lambda _: ProcessCrew(spec, workers)) if workers else None,
    )
    return packets(result.files.video), {"frames": result.frames}


def test_a_shared_recording_gives_the_same_packets(tmp_path: Path) -> None:
    people = [walk(0.25, 0.45, 6), still(0.75)]
    source = write_recording(tmp_path / "walk.mp4", seconds=14, people=people, size=(1920, 1080))
    alone = run(source, tmp_path / "alone", 0)
    again = run(source, tmp_path / "again", 0)
    shared = run(source, tmp_path / "shared", 3)
    assert again == alone
    assert shared == alone
