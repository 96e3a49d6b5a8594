"""Which place a job gets, and how workers and people learn of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.config.settings import Settings
from daemon.executor.protocol import Place
from daemon.jobs import manifest_json
from daemon.jobs.job_spec import work_order
from daemon.jobs.manifest import Manifest
from daemon.jobs.placement import choose, without_degraded
from daemon.worker.protocol import GPU
from engines.nvenc_sessions import SessionProbe
from pipeline.job import Progress
from tests.support.share import LEASE, claimed, make_share

GIB = 2**30
SMALL, LARGE = Place("a", GPU(0, 40 * GIB), 2), Place("a", GPU(1, 60 * GIB), 2)
ELSEWHERE = Place("b", GPU(1, 50 * GIB), 2)


def test_the_place_with_fewest_workers_is_taken_then_that_with_most_memory() -> None:
    two = [SMALL, LARGE]
    assert choose(two, []) == LARGE
    assert choose(two, [LARGE]) == SMALL
    assert choose(two, [LARGE, SMALL]) == LARGE
    assert choose([*two, ELSEWHERE], [LARGE]) == ELSEWHERE
    assert choose([], [LARGE]) is None


def test_after_trouble_at_one_place_a_job_gets_another_if_there_is_one() -> None:
    assert choose([SMALL, LARGE], [SMALL], avoid=LARGE.key) == SMALL
    assert choose([LARGE, ELSEWHERE], [ELSEWHERE], avoid=LARGE.key) == ELSEWHERE, "the same number on another node"
    assert choose([LARGE], [SMALL], avoid=LARGE.key) == LARGE


@given(memory=st.lists(st.integers(0, 80), min_size=1, max_size=4), jobs=st.integers(0, 20))
def test_jobs_are_spread_evenly(memory: list[int], jobs: int) -> None:
    places = [Place("a", GPU(index, free * GIB)) for index, free in enumerate(memory)]
    taken: list[Place] = []
    for _ in range(jobs):
        place = choose(places, taken)
        assert place is not None
        taken.append(place)
    counts = [taken.count(place) for place in places]
    assert max(counts) - min(counts) <= 1


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        (None, [SMALL, LARGE, ELSEWHERE]),
        (Progress("render"), [SMALL, LARGE, ELSEWHERE]),
        (Progress("render", level="downscale", trip="out_of_memory"), [SMALL, ELSEWHERE]),
        (Progress("space", lacks="33 MiB free"), []),
        (Progress("render", level="frame_skip", trip="decoder_errors"), [SMALL, LARGE, ELSEWHERE]),  # the file's own
    ],
)
def test_a_job_below_normal_keeps_others_from_its_device(progress: Progress | None, expected: list[Place]) -> None:
    running = [(SMALL, Progress("render")), (LARGE, progress)]
    assert without_degraded([SMALL, LARGE, ELSEWHERE], running) == expected


COUNTED = SessionProbe(3, "NVENC returned error 10", 10)


def test_a_worker_is_given_its_gpu_and_the_sessions_that_were_counted(tmp_path: Path) -> None:
    share = make_share(tmp_path)
    settings = Settings.model_validate({"device": {"index": [0, 3]}})
    spec = work_order(settings, claimed(share, "x.mp4"), LEASE, GPU(3, GIB, COUNTED)).spec
    assert (spec.device.index, spec.nvenc) == (3, COUNTED)
    spec = work_order(settings, claimed(share, "y.mp4"), LEASE).spec
    assert (spec.device, spec.nvenc) == (settings.device, None)


def test_a_manifest_records_the_place_and_old_manifests_have_none() -> None:
    manifest = Manifest(job="j", inbox="inbox", relative="x.mp4", profile="default", node="a", gpu=1)
    assert manifest_json.decode(manifest_json.encode(manifest)) == manifest
    old = manifest_json.encode(manifest).replace(b'"card": 1,', b"").replace(b'"node": "a",', b"")
    assert (manifest_json.decode(old).node, manifest_json.decode(old).gpu) == ("", None)
