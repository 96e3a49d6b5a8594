"""A stage that looks ahead, as on a GPU, changes neither decisions nor packets; here with the models of the CPU."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from engines.registry import CpuBackend
from pipeline.errors import JobStopped
from pipeline.job import JobResult, JobSpec
from pipeline.runner import run_job
from pipeline.settings import ProfileSettings, SegmentSettings
from tests.support.recordings import packets, still, walk, write_recording


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    people = walk(0.2, 0.6, 2), still(0.75)
    return write_recording(tmp_path_factory.mktemp("source") / "x.mp4", seconds=3, people=people, size=(640, 360))


def run(source: Path, work_dir: Path, *, stops: bool = False) -> JobResult:
    work_dir.mkdir(exist_ok=True)
    spec = JobSpec(
        "job", source, source.name, work_dir, profile=ProfileSettings(preset="ultrafast"),
        segments=SegmentSettings(seconds=1),
    )  # fmt: skip
    return run_job(spec, on_progress=lambda _: None, should_stop=lambda: stops)


def decided(result: JobResult) -> tuple[bytes, list[tuple[int, int, bytes]]]:
    return gzip.decompress(result.files.tracks.read_bytes()), packets(result.files.video)


def test_looking_ahead_changes_nothing(recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = decided(run(recording, tmp_path / "usual"))
    monkeypatch.setattr(CpuBackend, "looks_ahead", True)
    assert decided(run(recording, tmp_path / "ahead")) == usual
    with pytest.raises(JobStopped):
        run(recording, tmp_path / "stopped", stops=True)
    assert decided(run(recording, tmp_path / "stopped")) == usual
