"""Tallies: what a worker counts arrives whole, adds up, and can never take anything away."""

from __future__ import annotations

import json
from bisect import bisect_left

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.observability.definitions import DEFINITIONS
from daemon.observability.registry import MetricsRegistry
from daemon.worker.protocol import decode, encode
from pipeline.telemetry.counters import SECONDS, STAGES, Histogram, StatsCollector, StatsDelta

durations = st.floats(0, 10, allow_nan=False)


@settings(deadline=None)
@given(st.lists(st.tuples(durations, st.integers(1, 32)), max_size=30), st.integers(0, 30))
def test_however_often_it_is_told_the_sums_are_the_same(batches: list[tuple[float, int]], cut: int) -> None:
    whole, parts, added = StatsCollector(), StatsCollector(), Histogram.over(SECONDS)
    for number, (seconds, frames) in enumerate(batches):
        whole.add_stage_time("decode", seconds, frames)
        parts.add_stage_time("decode", seconds, frames)
        if number == cut:
            added.add(parts.take_delta().stages["decode"])
    added.add(parts.take_delta().stages.get("decode", Histogram.over(SECONDS)))
    sent = whole.take_delta().stages.get("decode", Histogram.over(SECONDS))
    assert added.counts == sent.counts
    assert added.sum == pytest.approx(sent.sum)


@settings(deadline=None)
@given(st.lists(durations, max_size=50))
def test_a_value_lies_in_the_bucket_that_prometheus_expects(values: list[float]) -> None:
    histogram = Histogram.over(SECONDS)
    for value in values:
        histogram.observe(SECONDS, value)
    for bound in SECONDS:  # "le": not above
        assert sum(histogram.counts[: bisect_left(SECONDS, bound) + 1]) == sum(value <= bound for value in values)
    assert sum(histogram.counts) == len(values)


def test_the_latency_of_a_frame_is_the_work_of_all_stages_on_it() -> None:
    stats_collector = StatsCollector()
    stats_collector.add_frame_time([0, 1, 2, 3], 0.04)
    stats_collector.add_frame_time([0, 1], 0.04)
    stats_collector.finish_frames([0, 1])
    latency = stats_collector.take_delta().latency
    assert latency.sum == pytest.approx(0.06)
    assert latency.counts[bisect_left(SECONDS, 0.03)] == 2


def test_frames_that_are_left_out_are_forgotten() -> None:
    stats_collector = StatsCollector()
    for pts in range(1000):
        stats_collector.add_frame_time([pts], 0.001)
        if pts % 2:
            stats_collector.finish_frames([pts])
    assert stats_collector.take_delta().latency.counts[bisect_left(SECONDS, 0.001)] == 500
    assert not stats_collector._frame_seconds


def test_waiting_frames_are_counted_when_they_come_and_go() -> None:
    stats_collector = StatsCollector()
    stats_collector.enqueue("decode", 4, most_parts=3)
    stats_collector.enqueue("decode", 4, most_parts=3)
    stats_collector.dequeue("decode", 4)
    first = stats_collector.take_delta()
    stats_collector.dequeue("decode", 4)
    assert first.waiting == {"decode": 4}
    assert first.queues["decode"].sum == 4 + 8
    assert stats_collector.take_delta().waiting == {"decode": 0}


@pytest.mark.parametrize("frames", [4, 16])
def test_how_full_a_queue_is_does_not_depend_on_how_many_frames_travel_together(frames: int) -> None:
    stats_collector = StatsCollector()
    for _ in range(3):
        stats_collector.enqueue("compose", frames, most_parts=3)
    stats_collector.dequeue("compose", frames)
    stats_collector.enqueue("compose", 0, most_parts=3)  # a segment's end takes a place, too
    fills = stats_collector.take_delta().fills["compose"]
    assert fills.sum == pytest.approx(1 / 3 + 2 / 3 + 1 + 1)
    assert fills.counts == [0, 1, 1, 0, 2, 0]


def test_an_undecodable_recording_is_told_once() -> None:
    stats_collector = StatsCollector()
    stats_collector.count_undecodable("prores")
    assert stats_collector.take_delta().undecodable == {"prores": 1}
    stats_collector.count_undecodable("prores")
    assert stats_collector.take_delta().undecodable == {}


def test_a_tally_survives_the_pipe() -> None:
    stats_collector = StatsCollector()
    stats_collector.add_stage_time("encode", 0.5, 4)
    stats_collector.add_stage_time("encode", 0.5, 0)
    stats_collector.enqueue("compose", 4, most_parts=3)
    stats_collector.count_undecodable("prores")
    stats_collector.count_written(frames=4, replaced=1, dropped=2, output_bytes=12345)
    stats = stats_collector.take_delta()
    assert decode(encode(stats)) == stats


wrong = st.sampled_from([-1, -0.5, float("nan"), float("inf"), None, True, "7", [], {}])


@settings(deadline=None)
@given(st.sampled_from(sorted(StatsDelta.__slots__)), wrong)
def test_a_worker_that_has_gone_mad_is_not_believed(name: str, value: object) -> None:
    if name in ("stages", "queues", "waiting", "fills", "undecodable"):
        value = {"decode": value}
    line = json.dumps({"kind": "StatsDelta", **json.loads(encode(StatsDelta()))} | {name: value}).encode()
    with pytest.raises(ValueError, match=r".*"):
        decode(line)


@settings(deadline=None)
@given(st.lists(st.text(max_size=5), max_size=200))
def test_labels_stay_few_whatever_a_worker_says(names: list[str]) -> None:
    meters = MetricsRegistry(DEFINITIONS)
    for name in names:
        meters.histogram("dualface_stage_seconds", Histogram([0] * (len(SECONDS) + 1)), name)
        meters.count("dualface_retries_total", name)
    families = {family.name: family for family in meters.collect()}
    stages = {sample.labels["stage"] for sample in families["dualface_stage_seconds"].samples}
    assert stages <= {*STAGES, "OTHER"}
    if names:
        assert len(families["dualface_retries"].samples) <= 65
        assert sum(sample.value for sample in families["dualface_retries"].samples) == len(names)
