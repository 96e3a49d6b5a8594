"""A job whose encoder is not to be had any more, or not at once: its segments must still fit together."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from engines.cuda.encoding.nvenc import NvencEncoder
from engines.cuda.encoding.sessions import EncoderSessions
from engines.errors import DeviceUnavailableError, EncoderBusyError
from engines.frames import EncodedPacket, Frame
from engines.protocols import Encoder
from engines.registry import CpuBackend
from engines.settings import DeviceSettings, EncoderSettings
from pipeline import render_loop, runner
from pipeline.errors import JobStopped
from pipeline.job import JobResult, JobSpec, Progress
from pipeline.settings import ProfileSettings, SegmentSettings
from tests.fakes.pynvvideocodec import device_empty, on_device
from tests.support.recordings import packets, write_recording


class OnGPU:
    """NVENC's fake, for frames in host memory."""

    def __init__(self, inner: NvencEncoder, copies: int) -> None:
        self._inner = inner
        frame_set = inner.extradata[inner.extradata.rindex(b"\x00\x00\x00\x01") :]
        self.name, self.extradata = inner.name, inner.extradata + copies * frame_set
        self.flush = inner.flush

    def encode(self, frame: Frame) -> list[EncodedPacket]:
        return self._inner.encode(Frame(on_device(frame.y), on_device(frame.uv), frame.pts, frame.duration))


class WithNvenc(CpuBackend):
    """The CPU's parts, and NVENC's fake unless x264 is asked for."""

    copies = 0  # of the frame parameter set, beside the one that is needed
    asked: list[EncoderSettings] = []  # noqa: RUF012 - emptied by the fixture
    busy_from = busy_to = 0  # which of the questions find all sessions taken

    def encoder(
        self, width: int, height: int, *, time_base: Fraction, fps: Fraction, color: Any, settings: Any
    ) -> Encoder:
        if settings.encoder == "x264":
            return super().encoder(width, height, time_base=time_base, fps=fps, color=color, settings=settings)
        self.asked.append(settings)
        busy = self.busy_from < len(self.asked) <= self.busy_to
        sessions = EncoderSessions(0 if busy else 2, wait_s=0)
        inner = NvencEncoder(
            width, height, fps=fps, color=color, settings=settings, sessions=sessions, empty=device_empty
        )
        return OnGPU(inner, self.copies)


class OtherDriver(WithNvenc):
    """A GPU whose encoder writes other headers."""

    copies = 1


class AlwaysBusy(WithNvenc):
    """Others have all sessions."""

    busy_to = 1000


class BusyMidway(WithNvenc):
    """Others take the last session after the first segment."""

    busy_from, busy_to = 1, 1000


class BusyAWhile(BusyMidway):
    """And give it back."""

    busy_to = 4


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recording(
        tmp_path_factory.mktemp("source") / "x.mp4", seconds=3, fps=10, size=(320, 240), audio_track=False
    )


@pytest.fixture
def job(recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the job on a backend, to its end or for some segments."""
    fake = importlib.reload(importlib.import_module("tests.fakes.pynvvideocodec"))
    monkeypatch.setitem(sys.modules, "PyNvVideoCodec", fake)
    monkeypatch.setattr(WithNvenc, "asked", [])
    spec = JobSpec("job", recording, "x.mp4", tmp_path / "work", segments=SegmentSettings(seconds=1))

    def work(
        backend: type[CpuBackend],
        *,
        stop: bool = False,
        folder: str = "work",
        device: dict[str, Any] | None = None,
        reports: list[Progress] | None = None,
        should_stop: Callable[[], bool] = lambda: False,
        **profile: Any,
    ) -> JobResult:
        WithNvenc.asked.clear()
        monkeypatch.setattr(render_loop, "open_backend", lambda *_, **__: backend())
        mine = replace(
            spec, work_dir=tmp_path / folder, profile=ProfileSettings(preset="ultrafast", **profile),
            device=DeviceSettings.model_validate({"nvenc_wait_s": 0, **(device or {})}),
        )  # fmt: skip
        mine.work_dir.mkdir(exist_ok=True)
        if not stop:
            on_progress = (lambda _: None) if reports is None else reports.append
            return runner.run_job(mine, on_progress=on_progress, should_stop=should_stop)
        with pytest.raises(JobStopped):
            runner.run_job(mine, on_progress=lambda _: None, should_stop=lambda: True)
        return None  # type: ignore[return-value]

    return work


@pytest.fixture(scope="module")
def known() -> dict[Any, Any]:
    return {}


@pytest.fixture
def undisturbed(job: Any, known: dict[Any, Any]) -> Any:
    """The packets of a job that nothing happens to, on a backend."""

    def work(backend: type[CpuBackend]) -> Any:
        if backend not in known:
            known[backend] = packets(job(backend, folder="undisturbed").files.video)
        return known[backend]

    return work


def report(result: JobResult) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.files.report.read_bytes())
    return found


def test_what_x264_began_is_finished_by_x264_although_nvenc_works_now(job: Any, undisturbed: Any) -> None:
    expected = undisturbed(CpuBackend)
    job(CpuBackend, stop=True)
    result = job(WithNvenc)
    assert report(result)["backends"]["encoder"] == "libx264"
    assert len(report(result)["resilience"]["resumed_at_s"]) == 1
    assert packets(result.files.video) == expected


def test_what_nvenc_began_is_finished_by_nvenc(job: Any, undisturbed: Any) -> None:
    expected = undisturbed(WithNvenc)
    job(WithNvenc, stop=True)
    result = job(WithNvenc)
    assert report(result)["backends"]["encoder"] == "h264_nvenc"
    assert len(report(result)["resilience"]["resumed_at_s"]) == 1
    assert packets(result.files.video) == expected


@pytest.mark.parametrize(("later", "encoder"), [(CpuBackend, "libx264"), (OtherDriver, "h264_nvenc")])
def test_what_nvenc_began_starts_over_where_it_cannot_go_on(
    job: Any, undisturbed: Any, later: type[CpuBackend], encoder: str
) -> None:
    expected = undisturbed(later)
    job(WithNvenc, stop=True)
    result = job(later)
    assert report(result)["backends"]["encoder"] == encoder
    assert report(result)["resilience"]["resumed_at_s"] == []
    assert report(result)["resilience"]["checkpoints"] == 3
    assert len(report(result)["resilience"]["started_over"]) == 1
    assert packets(result.files.video) == expected


def test_where_nvenc_is_demanded_the_job_waits_for_it_with_what_it_has(job: Any) -> None:
    job(WithNvenc, stop=True, encoder="nvenc")
    with pytest.raises(DeviceUnavailableError):
        job(CpuBackend, encoder="nvenc")
    assert len(report(job(WithNvenc, encoder="nvenc"))["resilience"]["resumed_at_s"]) == 1


BUSY = "No encoder came free in 0 s: all encoder sessions are taken (0 of 0 by this process)"


def assert_all_of_x264(result: JobResult, expected: Any) -> dict[str, Any]:
    """The frames' quality is that of x264 undisturbed, and the report says that and why."""
    found = report(result)
    assert (found["status"], found["degradation"]) == ("succeeded", [])
    assert found["backends"]["encoder"] == found["output"]["video"]["encoder"] == "libx264"
    assert f"NVENC is not used: {BUSY}" in found["backends"]["notes"]
    assert packets(result.files.video) == expected
    return found


def test_a_busy_gpu_lets_x264_encode_the_whole_job_and_the_report_says_so(job: Any, undisturbed: Any) -> None:
    expected = undisturbed(CpuBackend)
    found = assert_all_of_x264(job(AlwaysBusy), expected)
    assert found["resilience"]["started_over"] == []
    assert len(WithNvenc.asked) == 1, "a job whose first segment is x264's asks the GPU no more"


def test_what_was_begun_by_x264_because_the_gpu_was_busy_keeps_its_note(job: Any, undisturbed: Any) -> None:
    expected = undisturbed(CpuBackend)
    job(AlwaysBusy, stop=True)
    found = assert_all_of_x264(job(WithNvenc), expected)
    assert len(found["resilience"]["resumed_at_s"]) == 1


def test_a_gpu_that_is_busy_midway_gives_one_stream_of_one_encoder(job: Any, undisturbed: Any) -> None:
    expected = undisturbed(CpuBackend)
    found = assert_all_of_x264(job(BusyMidway), expected)
    assert found["resilience"]["started_over"] == [BUSY]
    assert found["resilience"]["checkpoints"] == 3


def test_a_profile_may_take_x264_at_once(job: Any) -> None:
    result = job(AlwaysBusy, device={"nvenc_wait_s": 3600}, encoder_busy="x264")
    assert f"NVENC is not used: {BUSY}" in report(result)["backends"]["notes"]


@pytest.mark.parametrize("policy", ["wait", "x264"])
def test_what_the_gpu_has_encoded_is_worth_waiting_for_it_and_the_wait_is_told(
    job: Any, undisturbed: Any, policy: str
) -> None:
    expected, reports = undisturbed(WithNvenc), list[Progress]()
    result = job(BusyAWhile, device={"nvenc_wait_s": 3600}, reports=reports, encoder_busy=policy)
    assert packets(result.files.video) == expected
    assert [p.frames_done for p in reports if p.stage == "wait"] == [10, 10, 10]
    assert {p.level for p in reports} == {"normal"}


def test_a_job_that_waits_for_the_gpu_can_be_stopped(job: Any, undisturbed: Any) -> None:
    expected = undisturbed(WithNvenc)
    with pytest.raises(JobStopped):
        job(BusyMidway, device={"nvenc_wait_s": 3600}, should_stop=lambda: len(WithNvenc.asked) > 1)
    result = job(WithNvenc, device={"nvenc_wait_s": 3600})
    assert len(report(result)["resilience"]["resumed_at_s"]) == 1
    assert packets(result.files.video) == expected


@pytest.mark.parametrize("settings", [{"device": {"nvenc_fallback": False}}, {"encoder": "nvenc"}])
def test_where_x264_may_not_stand_in_the_job_waits_with_what_it_has(
    job: Any, undisturbed: Any, settings: dict[str, Any]
) -> None:
    expected = undisturbed(WithNvenc)
    with pytest.raises(EncoderBusyError):
        job(BusyMidway, **settings)
    result = job(WithNvenc, **settings)
    assert report(result)["backends"]["encoder"] == "h264_nvenc"
    assert len(report(result)["resilience"]["resumed_at_s"]) == 1
    assert report(result)["degradation"] == []
    assert packets(result.files.video) == expected
