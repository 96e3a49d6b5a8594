"""Whole jobs on a GPU, beside the same jobs on the CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engines.settings import DeviceSettings
from pipeline.errors import JobStopped
from pipeline.job import JobSpec
from pipeline.runner import run_job
from pipeline.settings import SegmentSettings
from tests.gpu.running import report, rows, times
from tests.support.gpu_presence import needs_gpu
from tests.support.recordings import still, walk, write_recording
from tests.support.synth import Clip, combed

cupy = pytest.importorskip("cupy")
pytestmark = [pytest.mark.gpu, needs_gpu]

SECONDS = 6
MIB = 2**20


def run(source, work_dir, backend, should_stop=lambda: False, **device):
    work_dir.mkdir(exist_ok=True)
    spec = JobSpec(
        "job", source, source.name, work_dir, segments=SegmentSettings(seconds=1),
        device=DeviceSettings(backend=backend, **device),
    )  # fmt: skip
    return run_job(spec, on_progress=lambda _: None, should_stop=should_stop)


def crops(result, side):
    return np.array([row[side]["crop"] for row in rows(result)])


@pytest.fixture(scope="module", params=["sitting", "crossing", "leaving"])
def recording(request, tmp_path_factory):
    people = {
        "sitting": (still(0.28), still(0.72)),
        "crossing": (walk(0.25, 0.75, 4), walk(0.75, 0.25, 4)),
        "leaving": (walk(0.3, 0.55, 4), walk(0.7, 1.4, 2.5)),
    }[request.param]
    path = tmp_path_factory.mktemp("source") / f"{request.param}.mp4"
    return write_recording(path, seconds=SECONDS, people=people, size=(1280, 720))


@pytest.fixture(scope="module")
def on_cpu(recording, tmp_path_factory):
    return run(recording, tmp_path_factory.mktemp("cpu"), "cpu")


@pytest.fixture(scope="module")
def on_gpu(recording, tmp_path_factory):
    return run(recording, tmp_path_factory.mktemp("cuda"), "cuda")


def test_the_gpu_does_all_of_it_and_says_so(on_gpu):
    backends = report(on_gpu)["backends"]
    assert (backends["decoder"], backends["compositor"]) == ("nvdec", "cuda")
    assert backends["device"].startswith("cuda:0 (")
    assert backends["inference"] != "onnxruntime-cpu"
    assert not backends["cpu_fallback"]


def test_little_comes_to_the_host(on_gpu):
    """Per frame little; besides, the first samples for panels, and chips around heads while one covers the other."""
    samples, chips = 14 * 480 * 270, 70 * 64 * 64
    most = 4096 + (samples + chips) / report(on_gpu)["output"]["frames"]
    assert 0 < report(on_gpu)["backends"]["bytes_device_to_host_per_frame"] <= most


def test_frames_and_times_are_the_cpus(recording, on_cpu, on_gpu):
    assert times(on_gpu.files.video) == times(on_cpu.files.video) == times(recording)


def test_people_and_crops_are_the_cpus(on_cpu, on_gpu):
    for ours, theirs in zip(rows(on_gpu), rows(on_cpu), strict=True):
        for side in ("left", "right"):
            assert ours[side]["person"] == theirs[side]["person"]
    for side in ("left", "right"):
        distance = np.abs(crops(on_gpu, side) - crops(on_cpu, side)).max(axis=1)
        assert np.percentile(distance, 99) <= 2


def test_a_stopped_job_goes_on_with_the_same_decisions(recording, on_gpu, tmp_path):
    for _ in range(2):
        with pytest.raises(JobStopped):
            run(recording, tmp_path / "parts", "cuda", should_stop=lambda: True)
    result = run(recording, tmp_path / "parts", "cuda")
    assert times(result.files.video) == times(on_gpu.files.video)
    assert len(report(result)["resilience"]["resumed_at_s"]) == 2
    for side in ("left", "right"):
        np.testing.assert_allclose(crops(result, side), crops(on_gpu, side), atol=1)


def test_an_interlaced_recording_is_decoded_on_the_cpu_and_composed_on_the_gpu(tmp_path):
    source = Clip(640, 360, frames=45, interlaced=True, draw=combed).write(tmp_path / "fields.mp4")
    result = run(source, tmp_path / "work", "cuda")
    backends = report(result)["backends"]
    assert backends["cpu_fallback"]
    assert (backends["decoder"], backends["compositor"]) == ("pyav", "cuda")
    assert any("does not decode the recording: interlaced" in note for note in backends["notes"])
    assert times(result.files.video) == times(source)


def test_the_report_names_gpu_driver_and_all_libraries(on_gpu):
    compute, versions = report(on_gpu)["compute"], report(on_gpu)["versions"]
    gpu = cupy.cuda.runtime.getDeviceProperties(0)
    assert (compute["backend"], compute["card"]) == ("cuda", gpu["name"].decode())
    assert compute["generation"] == f"sm{gpu['major']}{gpu['minor']}"
    assert compute["inference"] not in ("", "onnxruntime-cpu, onnxruntime-cpu")
    assert {"cupy-cuda13x", "PyNvVideoCodec", "cuda-driver", "onnxruntime", "av", "ffmpeg"} <= versions.keys()
    assert ("nvidia-driver" in versions) == Path("/proc/driver/nvidia/version").exists()


def test_what_the_cpu_began_starts_over_on_the_gpu_and_says_so(recording, on_gpu, tmp_path):
    with pytest.raises(JobStopped):
        run(recording, tmp_path / "parts", "cpu", should_stop=lambda: True)
    result = run(recording, tmp_path / "parts", "cuda")
    (reason,) = report(result)["resilience"]["started_over"]
    assert "backend: cuda instead of cpu" in reason
    assert report(result)["resilience"]["resumed_at_s"] == []
    assert times(result.files.video) == times(on_gpu.files.video)


def test_many_short_jobs_leave_nothing_behind(tmp_path):
    source = write_recording(tmp_path / "short.mp4", seconds=1, size=(640, 360), audio_track=False)
    free = []
    for n in range(8):
        run(source, tmp_path / str(n), "cuda")
        free.append(cupy.cuda.runtime.memGetInfo()[0])
    assert free[2] - free[-1] < 64 * MIB
    assert cupy.get_default_memory_pool().used_bytes() == 0
