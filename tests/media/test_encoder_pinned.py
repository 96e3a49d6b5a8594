"""A job that is resumed where another encoder works: its segments must still fit together."""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from engines.cuda.encode import NvencEncoder
from engines.cuda.sessions import EncoderSessions
from engines.errors import DeviceUnavailableError
from engines.frames import EncodedPacket, Frame
from engines.protocols import Encoder
from engines.registry import CpuBackend
from pipeline import runner
from pipeline.errors import JobStopped
from pipeline.job import JobResult, JobSpec
from pipeline.settings import ProfileSettings, SegmentSettings
from tests.fakes.pynvvideocodec import device_empty, on_device
from tests.scenes import packets, write_recording


class OnCard:
    """NVENC's fake, for pictures in host memory."""

    def __init__(self, inner: NvencEncoder, copies: int) -> None:
        self._inner = inner
        picture_set = inner.extradata[inner.extradata.rindex(b"\x00\x00\x00\x01") :]
        self.name, self.extradata = inner.name, inner.extradata + copies * picture_set
        self.flush = inner.flush

    def encode(self, frame: Frame) -> list[EncodedPacket]:
        return self._inner.encode(Frame(on_device(frame.y), on_device(frame.uv), frame.pts, frame.duration))


class WithNvenc(CpuBackend):
    """The CPU's parts, and NVENC's fake unless x264 is asked for."""

    copies = 0  # of the picture parameter set, beside the one that is needed

    def encoder(
        self, width: int, height: int, *, time_base: Fraction, fps: Fraction, color: Any, settings: Any
    ) -> Encoder:
        if settings.encoder == "x264":
            return super().encoder(width, height, time_base=time_base, fps=fps, color=color, settings=settings)
        sessions = EncoderSessions(2)
        inner = NvencEncoder(
            width, height, fps=fps, color=color, settings=settings, sessions=sessions, empty=device_empty
        )
        return OnCard(inner, self.copies)


class OtherDriver(WithNvenc):
    """A card whose encoder writes other headers."""

    copies = 1


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recording(tmp_path_factory.mktemp("source") / "x.mp4", seconds=3, fps=10, size=(320, 240), sound=False)


@pytest.fixture
def job(recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the job on a backend, to its end or for some segments."""
    fake = importlib.reload(importlib.import_module("tests.fakes.pynvvideocodec"))
    monkeypatch.setitem(sys.modules, "PyNvVideoCodec", fake)
    spec = JobSpec("job", recording, "x.mp4", tmp_path / "work", segments=SegmentSettings(seconds=1))

    def work(backend: type[CpuBackend], *, stop: bool = False, folder: str = "work", **profile: Any) -> JobResult:
        monkeypatch.setattr(runner, "open_backend", lambda _: backend())
        mine = replace(spec, work_dir=tmp_path / folder, profile=ProfileSettings(preset="ultrafast", **profile))
        mine.work_dir.mkdir(exist_ok=True)
        if not stop:
            return runner.run_job(mine, on_progress=lambda _: None, should_stop=lambda: False)
        with pytest.raises(JobStopped):
            runner.run_job(mine, on_progress=lambda _: None, should_stop=lambda: True)
        return None  # type: ignore[return-value]

    return work


def report(result: JobResult) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.files.report.read_bytes())
    return found


def test_what_x264_began_is_finished_by_x264_although_nvenc_works_now(job: Any) -> None:
    undisturbed = job(CpuBackend, folder="undisturbed")
    job(CpuBackend, stop=True)
    result = job(WithNvenc)
    assert report(result)["backends"]["encoder"] == "libx264"
    assert len(report(result)["resilience"]["resumed_at_s"]) == 1
    assert packets(result.files.video) == packets(undisturbed.files.video)


def test_what_nvenc_began_is_finished_by_nvenc(job: Any) -> None:
    undisturbed = job(WithNvenc, folder="undisturbed")
    job(WithNvenc, stop=True)
    result = job(WithNvenc)
    assert report(result)["backends"]["encoder"] == "h264_nvenc"
    assert len(report(result)["resilience"]["resumed_at_s"]) == 1
    assert packets(result.files.video) == packets(undisturbed.files.video)


@pytest.mark.parametrize(("later", "encoder"), [(CpuBackend, "libx264"), (OtherDriver, "h264_nvenc")])
def test_what_nvenc_began_starts_over_where_it_cannot_go_on(job: Any, later: type[CpuBackend], encoder: str) -> None:
    undisturbed = job(later, folder="undisturbed")
    job(WithNvenc, stop=True)
    result = job(later)
    assert report(result)["backends"]["encoder"] == encoder
    assert report(result)["resilience"]["resumed_at_s"] == []
    assert report(result)["resilience"]["checkpoints"] == 3
    assert packets(result.files.video) == packets(undisturbed.files.video)


def test_where_nvenc_is_demanded_the_job_waits_for_it_with_what_it_has(job: Any) -> None:
    job(WithNvenc, stop=True, encoder="nvenc")
    with pytest.raises(DeviceUnavailableError):
        job(CpuBackend, encoder="nvenc")
    assert len(report(job(WithNvenc, encoder="nvenc"))["resilience"]["resumed_at_s"]) == 1
