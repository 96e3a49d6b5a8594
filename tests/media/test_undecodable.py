"""A recording that the GPU does not decode is counted, whether its job succeeds or fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engines.errors import DeviceUnavailableError
from engines.protocols import Decoder
from engines.registry import CpuBackend
from pipeline import render_loop, runner
from pipeline.errors import JobStopped
from pipeline.job import JobSpec
from pipeline.settings import ProfileSettings, SegmentSettings
from pipeline.telemetry.counters import StatsDelta
from tests.support.recordings import write_recording


class Refusing(CpuBackend):
    """A GPU that leaves decoding to the CPU."""

    def decoder(self, *args: Any, **options: Any) -> Decoder:
        self.undecodable = "the GPU does not decode it"
        return super().decoder(*args, **options)


class Waiting(Refusing):
    """device.undecodable: wait."""

    def decoder(self, *_: Any, **__: Any) -> Decoder:
        self.undecodable = "the GPU does not decode it"
        raise DeviceUnavailableError("The video cannot be decoded on the GPU.")


@pytest.mark.parametrize(
    ("backend", "end", "counted"),
    [(Refusing, JobStopped, {"h264": 1}), (Waiting, DeviceUnavailableError, {"h264": 1}), (CpuBackend, JobStopped, {})],
)
def test_it_is_counted_once_for_an_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: type[CpuBackend], end: type[Exception], counted: Any
) -> None:
    source = write_recording(tmp_path / "x.mp4", seconds=2, fps=5, size=(320, 240), audio_track=False)
    monkeypatch.setattr(render_loop, "open_backend", lambda *_, **__: backend())
    spec = JobSpec(
        "job", source, "x.mp4", tmp_path, profile=ProfileSettings(preset="ultrafast"),
        segments=SegmentSettings(seconds=1),
    )  # fmt: skip
    stats_deltas: list[StatsDelta] = []
    with pytest.raises(end):
        runner.run_job(spec, on_progress=lambda _: None, should_stop=lambda: True, on_stats=stats_deltas.append)
    found = [stats.undecodable for stats in stats_deltas if stats.undecodable]
    assert found == ([counted] if counted else [])
