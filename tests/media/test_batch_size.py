"""The size of the detector's batches changes no decision."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from engines.settings import DeviceSettings
from pipeline.job import JobResult, JobSpec
from pipeline.runner import run_job
from pipeline.settings import ProfileSettings
from tests.support.recordings import still, walk, write_recording


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("recordings")
    people = [(still(0.28), still(0.72)), (walk(0.3, 0.4, 2), still(0.75))]
    return [
        write_recording(folder / f"{n}.mp4", seconds=2, people=pair, size=(640, 360)) for n, pair in enumerate(people)
    ]


def run(source: Path, work_dir: Path, max_batch: int) -> JobResult:
    work_dir.mkdir()
    device = DeviceSettings.model_validate({"backend": "cpu", "max_batch": max_batch})
    profile = ProfileSettings(preset="ultrafast")
    spec = JobSpec("job", source, source.name, work_dir, profile=profile, device=device)
    return run_job(spec, on_progress=lambda _: None, should_stop=lambda: False)


def tracks(result: JobResult) -> bytes:
    return gzip.decompress(result.files.tracks.read_bytes())


def test_small_batches_change_nothing(recordings: list[Path], tmp_path: Path) -> None:
    for source in recordings:
        usual = tracks(run(source, tmp_path / f"usual {source.stem}", 16))
        assert tracks(run(source, tmp_path / f"one by one {source.stem}", 1)) == usual
