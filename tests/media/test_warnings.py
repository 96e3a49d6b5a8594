"""What a damaged recording's job tells is the same after a stop, and after a correction that renders segments again."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from pipeline.corrections import parse
from pipeline.errors import JobStopped
from pipeline.job import JobResult, JobSpec
from pipeline.runner import run_job
from pipeline.settings import ProfileSettings, SegmentSettings
from tests.support.damage import noisy, spoil
from tests.support.synth import Audio, Clip

PROFILE = ProfileSettings(preset="ultrafast")


def run(source: Path, work_dir: Path, *, stops: int = 0, **fields: Any) -> JobResult:
    """Run a job, stopped at the end of each of its first segments and taken up again."""
    work_dir.mkdir(exist_ok=True)
    spec = JobSpec("job", source, source.name, work_dir, profile=PROFILE, segments=SegmentSettings(seconds=1), **fields)
    for _ in range(stops):
        with pytest.raises(JobStopped):
            run_job(spec, on_progress=lambda _: None, should_stop=lambda: True)
    return run_job(spec, on_progress=lambda _: None, should_stop=lambda: False)


def warnings(result: JobResult) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(result.files.report.read_bytes())["warnings"]
    assert result.facts["warnings"] == found
    return found


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frames are lost at both sides of a segment's end, and later; the audio ends early."""
    path = tmp_path_factory.mktemp("source") / "damaged.mp4"
    clip = Clip(frames=72, options={"bf": "0", "g": "6"}, fps=Fraction(24), audio=[Audio(length_s=1.5)])
    clip.write(path)
    spoil(path, [21, 22, 23, 24, 25, 26, 60], noisy)
    return path


def test_a_resumed_job_tells_the_same(damaged: Path, tmp_path: Path) -> None:
    whole = run(damaged, tmp_path / "whole")
    found = warnings(whole)
    assert [w["code"] for w in found] == ["VIDEO_DAMAGED", "VIDEO_DAMAGED", "AUDIO_ENDS_EARLY"]
    assert found[0]["from_s"] == pytest.approx(21 / 24, abs=0.001)
    assert 27 / 24 <= found[0]["to_s"] < 31 / 24
    assert found[1]["from_s"] == pytest.approx(60 / 24, abs=0.001)
    assert "with 3 warnings" in whole.verdict
    assert warnings(run(damaged, tmp_path / "stopped", stops=2)) == found


def test_a_correction_keeps_what_is_told(damaged: Path, tmp_path: Path) -> None:
    found = warnings(run(damaged, tmp_path / "job"))
    corrected = run(damaged, tmp_path / "job", corrections=parse("swap: true"))
    assert warnings(corrected) == found
