"""Degradation on a GPU: really out of its memory, smaller surfaces, and nothing held in a pause."""

import pytest

import pipeline.render_loop
import pipeline.runner
from engines.cuda.memory import open_manager
from engines.errors import DeviceOutOfMemoryError
from engines.registry import open_backend
from engines.settings import DeviceSettings
from pipeline.degradation.controller import Degradation
from pipeline.job import JobSpec
from pipeline.settings import DegradationSettings, LookaheadSettings, ProfileSettings, SegmentSettings
from tests.fakes.troubled import Plan
from tests.gpu.running import report, rows, times
from tests.support.gpu_presence import needs_gpu
from tests.support.recordings import packets, write_recording

cupy = pytest.importorskip("cupy")
pytestmark = [pytest.mark.gpu, needs_gpu]

MIB = 2**20
GPU = DeviceSettings(backend="cuda")
QUICK = DegradationSettings(cool_down_s=0.05, cool_down_longest_s=0.2, probation_segments=2, surface_pixels=320 * 180)


def memory():
    return DeviceOutOfMemoryError("The GPU ran out of memory while testing.")


def run(source, work_dir, **fields):
    work_dir.mkdir(exist_ok=True)
    spec = JobSpec("job", source, source.name, work_dir, segments=SegmentSettings(seconds=1), device=GPU, **fields)
    return pipeline.runner.run_job(spec, on_progress=lambda _: None, should_stop=lambda: False)


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    return write_recording(tmp_path_factory.mktemp("source") / "two people.mp4", seconds=6, size=(640, 360))


@pytest.fixture(scope="module")
def undisturbed(recording, tmp_path_factory):
    return run(recording, tmp_path_factory.mktemp("undisturbed"))


def on_gpu(plan, monkeypatch):
    plan.inner = lambda: open_backend(GPU)
    monkeypatch.setattr(pipeline.render_loop, "open_backend", plan.open)
    return plan


def test_smaller_surfaces_and_inputs_at_the_same_times(recording, undisturbed, tmp_path, monkeypatch):
    plan = on_gpu(Plan(encoders={2: memory}), monkeypatch)
    result = run(recording, tmp_path, degradation=QUICK)
    assert plan.surfaces == [(640, 360), (320, 180), (640, 360)]
    assert [max(shape) for shape in plan.inputs] == [640, 320, 640]
    assert max(plan.batches[320, 180]) < max(plan.batches[640, 360])
    assert times(result.files.video) == times(undisturbed.files.video)
    assert packets(result.files.video, "audio") == packets(undisturbed.files.video, "audio")
    assert report(result)["status"] == "succeeded_degraded"
    assert report(result)["backends"]["device"].startswith("cuda:0")


def test_frame_skip_works_on_half_of_the_frames(recording, undisturbed, tmp_path, monkeypatch):
    on_gpu(Plan(encoders={1: memory, 2: memory}), monkeypatch)
    result = run(recording, tmp_path, degradation=QUICK)
    dropped = report(result)["resilience"]["dropped_frames"]
    assert dropped > 20
    assert set(times(result.files.video)) < set(times(undisturbed.files.video))
    assert len(rows(result)) == len(times(undisturbed.files.video)) - dropped
    assert packets(result.files.video, "audio") == packets(undisturbed.files.video, "audio")


def test_a_pause_holds_nothing_of_the_gpu(recording, undisturbed, tmp_path, monkeypatch):
    """But for the context and the libraries' code, which leave with the process."""
    plan = on_gpu(Plan(encoders={n: memory for n in (1, 2, 3)}), monkeypatch)
    idle = cupy.cuda.runtime.memGetInfo()[0]
    seen = []
    wait_until_ready = Degradation.wait_until_ready

    def watching(self, interruption, on_wait):
        def beat():
            pool = cupy.get_default_memory_pool()
            seen.append((pool.used_bytes(), pool.total_bytes(), idle - cupy.cuda.runtime.memGetInfo()[0]))
            on_wait()

        wait_until_ready(self, interruption, beat)

    monkeypatch.setattr(Degradation, "wait_until_ready", watching)
    result = run(recording, tmp_path, degradation=QUICK)
    assert "pause" in {span["level"] for span in report(result)["degradation"]}
    assert len(seen) > 3
    assert {used for used, _, _ in seen} == {total for _, total, _ in seen} == {0}
    assert max(held for _, _, held in seen) < 256 * MIB
    assert set(plan.alive.values()) == {0}
    assert packets(result.files.video, "audio") == packets(undisturbed.files.video, "audio")


def test_a_gpu_that_is_really_out_of_memory(tmp_path):
    """CuPy's pool may hold what the smaller frames need, and not the look-ahead of 4K."""
    source = write_recording(tmp_path / "large.mp4", seconds=4, size=(3840, 2160))
    pool = cupy.get_default_memory_pool()
    open_manager(GPU)  # which sets the pool's limit, once
    before = pool.get_limit()
    pool.set_limit(size=330 * MIB)
    try:
        result = run(
            source, tmp_path / "work",
            profile=ProfileSettings(lookahead=LookaheadSettings(pool_bytes=2**30)),
            degradation=DegradationSettings(cool_down_s=0.05, probation_segments=100),
        )  # fmt: skip
    finally:
        pool.set_limit(size=before)
    (span,) = report(result)["degradation"]
    assert span["level"] == "downscale"
    assert "out of memory" in span["reason"]
    assert times(result.files.video) == times(source)
    assert report(result)["backends"]["decoder"] == "nvdec"
