"""Jobs of one process that share a detector decide what each would alone."""

from __future__ import annotations

import gzip
import threading
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


def run(source: Path, work_dir: Path, batching: str, max_batch: int) -> JobResult:
    work_dir.mkdir()
    device = DeviceSettings.model_validate({"backend": "cpu", "batching": batching, "max_batch": max_batch})
    profile = ProfileSettings(preset="ultrafast")
    spec = JobSpec("job", source, source.name, work_dir, profile=profile, device=device)
    return run_job(spec, on_progress=lambda _: None, should_stop=lambda: False)


def tracks(result: JobResult) -> bytes:
    return gzip.decompress(result.files.tracks.read_bytes())


def test_shared_and_small_batches_change_nothing(recordings: list[Path], tmp_path: Path) -> None:
    alone = [tracks(run(source, tmp_path / f"alone {source.stem}", "separate", 16)) for source in recordings]
    assert tracks(run(recordings[0], tmp_path / "one by one", "separate", 1)) == alone[0]
    found: dict[int, bytes] = {}

    def job(number: int) -> None:
        found[number] = tracks(run(recordings[number % 2], tmp_path / f"joint {number}", "joint", 8))

    threads = [threading.Thread(target=job, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert [found[number] for number in range(3)] == [alone[0], alone[1], alone[0]]
