"""A job that comes to another kind of machine starts over; one that comes to the same kind goes on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from engines.compute_class import ComputeClass, host_class
from engines.registry import CpuBackend
from pipeline import render_loop, runner
from pipeline.errors import JobStopped
from pipeline.job import JobResult, JobSpec
from pipeline.settings import ProfileSettings, SegmentSettings
from tests.support.recordings import packets, write_recording


class Elsewhere(CpuBackend):
    """A host of the fleet whose processor knows less, with another version of a library."""

    @property
    def compute_class(self) -> ComputeClass:
        here = host_class()
        return replace(here, cpu_features="sse2", versions=here.versions | {"av": "1.0"})


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recording(
        tmp_path_factory.mktemp("source") / "x.mp4", seconds=2, fps=10, size=(320, 240), audio_track=False
    )


@pytest.fixture
def work(recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the job on a backend, to its end or to its first segment's."""
    spec = JobSpec(
        "job", recording, "x.mp4", tmp_path, profile=ProfileSettings(preset="ultrafast"),
        segments=SegmentSettings(seconds=1),
    )  # fmt: skip

    def work(backend: type[CpuBackend], **fields: Any) -> JobResult:
        monkeypatch.setattr(render_loop, "open_backend", lambda *_, **__: backend())
        return runner.run_job(replace(spec, **fields), on_progress=lambda _: None, should_stop=lambda: False)

    def stopped(backend: type[CpuBackend]) -> None:
        monkeypatch.setattr(render_loop, "open_backend", lambda *_, **__: backend())
        with pytest.raises(JobStopped):
            runner.run_job(spec, on_progress=lambda _: None, should_stop=lambda: True)

    work.stopped = stopped  # type: ignore[attr-defined]
    return work


def test_a_job_of_another_class_starts_over_and_says_what_differs(work: Any, tmp_path: Path) -> None:
    work.stopped(Elsewhere)
    with capture_logs() as lines:
        result = work(CpuBackend)
    report = json.loads(result.files.report.read_bytes())
    (reason,) = report["resilience"]["started_over"]
    assert (report["resilience"]["resumed_at_s"], report["resilience"]["checkpoints"]) == ([], 2)
    assert "CPU features: " in reason
    assert f"av: {report['versions']['av']} instead of 1.0" in reason
    assert [line["reason"] for line in lines if line["event"] == "job starts over"] == [reason]
    (tmp_path / "undisturbed").mkdir()
    undisturbed = work(CpuBackend, work_dir=tmp_path / "undisturbed")
    assert packets(result.files.video) == packets(undisturbed.files.video)


def test_a_job_of_the_same_class_goes_on_and_the_report_names_the_class(work: Any) -> None:
    work.stopped(CpuBackend)
    report = json.loads(work(CpuBackend).files.report.read_bytes())
    assert (len(report["resilience"]["resumed_at_s"]), report["resilience"]["started_over"]) == (1, [])
    here = host_class().to_json()
    assert report["versions"].items() >= here["versions"].items()
    assert report["compute"] == {
        {"gpu": "card"}.get(name, name): value for name, value in here.items() if name != "versions"
    } | {"inference": "onnxruntime-cpu, onnxruntime-cpu"}  # fmt: skip
