"""Which GPU a job gets, and how workers and people learn of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.config.settings import Settings
from daemon.jobs import manifest_json
from daemon.jobs.gpu_placement import degraded_gpus, has_room, jobs_per_gpu, place
from daemon.jobs.job_spec import work_order
from daemon.jobs.manifest import Manifest
from daemon.worker.protocol import GPU
from engines.nvenc_sessions import SessionProbe
from pipeline.job import Progress
from tests.support.share import LEASE, claimed, make_share

GIB = 2**30
TWO = [GPU(0, 40 * GIB), GPU(1, 60 * GIB)]
numbers = st.integers(0, 3)


def test_the_gpu_with_most_free_slots_is_taken_then_that_with_most_memory() -> None:
    assert place(TWO, [], 2) == 1
    assert place(TWO, [1], 2) == 0
    assert place(TWO, [1, 0], 2) == 1
    assert place(TWO, [1, 0, 1], 2) == 0


def test_a_full_gpu_gets_nothing_and_two_full_gpus_stop_the_starts() -> None:
    assert place(TWO, [1], 1) == 0
    assert not has_room(TWO, [0, 1], 1)
    assert place(TWO, [0, 1], 1) is None


def test_after_trouble_on_one_gpu_a_job_gets_another_if_there_is_room() -> None:
    assert place(TWO, [0], 2, avoid_gpu=1) == 0
    assert place(TWO, [0, 0], 2, avoid_gpu=1) == 1


def test_without_gpus_only_slots_count() -> None:
    assert has_room([], [None] * 9, 1)
    assert place([], [None], 1) is None


@pytest.mark.parametrize(
    ("wanted", "slots", "gpus", "most"),
    [("auto", 8, 2, 4), ("auto", 7, 2, 4), ("auto", 3, 0, 3), ("auto", 1, 4, 1), (5, 8, 2, 5)],
)
def test_slots_are_spread_evenly_unless_set(wanted: int, slots: int, gpus: int, most: int) -> None:
    assert jobs_per_gpu(wanted, slots, gpus) == most


@given(memory=st.lists(st.integers(0, 80), min_size=1, max_size=4), most=st.integers(1, 4),
       jobs=st.integers(0, 20), avoid_gpu=st.none() | numbers)  # fmt: skip
def test_jobs_are_spread_evenly_and_never_beyond_the_limit(
    memory: list[int], most: int, jobs: int, avoid_gpu: int | None
) -> None:
    gpus = [GPU(index, free * GIB) for index, free in enumerate(memory)]
    busy: list[int | None] = []
    while len(busy) < jobs and has_room(gpus, busy, most):
        busy.append(place(gpus, busy, most))
    counts = [busy.count(gpu.index) for gpu in gpus]
    assert sum(counts) == min(jobs, most * len(gpus))
    assert max(counts) - min(counts) <= 1
    if has_room(gpus, busy, most) and any(c.index != avoid_gpu and busy.count(c.index) < most for c in gpus):
        assert place(gpus, busy, most, avoid_gpu) not in (avoid_gpu, None)


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        (None, set()),
        (Progress("render"), set()),
        (Progress("render", level="downscale", trip="out_of_memory"), {1}),
        (Progress("space", lacks="33 MiB free"), {None}),
        (Progress("render", level="frame_skip", trip="decoder_errors"), set()),  # the file's own trouble
    ],
)
def test_a_job_below_normal_keeps_others_from_its_device(progress: Progress | None, expected: set[int | None]) -> None:
    assert degraded_gpus([(None, Progress("render")), (1, progress)]) == expected


COUNTED = SessionProbe(3, "NVENC returned error 10", 10)


def test_a_worker_is_given_its_gpu_and_the_sessions_that_were_counted(tmp_path: Path) -> None:
    share = make_share(tmp_path)
    settings = Settings.model_validate({"device": {"index": [0, 3]}})
    spec = work_order(settings, claimed(share, "x.mp4"), LEASE, GPU(3, GIB, COUNTED)).spec
    assert (spec.device.index, spec.nvenc) == (3, COUNTED)
    spec = work_order(settings, claimed(share, "y.mp4"), LEASE).spec
    assert (spec.device, spec.nvenc) == (settings.device, None)


def test_a_manifest_records_the_gpu_and_old_manifests_have_none() -> None:
    manifest = Manifest(job="j", inbox="inbox", relative="x.mp4", profile="default", gpu=1)
    assert manifest_json.decode(manifest_json.encode(manifest)).gpu == 1
    assert manifest_json.decode(manifest_json.encode(manifest).replace(b'"card": 1,', b"")).gpu is None
