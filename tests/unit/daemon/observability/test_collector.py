"""Metrics follow from events and from the statistics of workers."""

from __future__ import annotations

import pytest

from daemon.config.settings import Settings
from daemon.executor.protocol import Died
from daemon.jobs.start_conditions import BlockReason, Condition
from daemon.observability.collector import MetricsCollector
from daemon.observability.events import (
    AttemptEnded,
    AttemptStarted,
    Delivered,
    Event,
    JobDeferred,
    JobFailed,
    Tick,
)
from daemon.service.status_publisher import _state
from daemon.status.model import NodeLine, RunningJob, ServiceStatus
from pipeline.telemetry.counters import StatsCollector
from tests.support.metrics import DISK_FULL, job, samples, tick


def test_counters_begin_at_zero_so_that_their_first_step_is_seen() -> None:
    found = samples(MetricsCollector(Settings()).metrics)
    assert found["dualface_jobs_total", ("failed",)] == 0
    assert found["dualface_frames_total", ()] == 0
    assert found["dualface_frame_latency_seconds_count", ()] == 0
    assert found["dualface_stage_seconds_count", ("encode",)] == 0


def test_before_the_first_look_no_job_runs() -> None:
    found = samples(MetricsCollector(Settings()).metrics)
    assert found["dualface_jobs_running", ()] == found["dualface_degradation_level", ()] == 0


def test_unknown_values_are_absent() -> None:
    collector = MetricsCollector(Settings())
    collector(tick(ServiceStatus("here", 1, queued=3), Condition(free_bytes=123), ("working", "idle", "idle")))
    found = samples(collector.metrics)
    assert found["dualface_share_free_bytes", ()] == 123
    assert found["dualface_inbox_files", ("ready",)] == 3
    assert found["dualface_hosts", ("idle",)] == 2
    collector(
        tick(ServiceStatus("here", 1, state="share_away"), Condition(BlockReason.SHARE_AWAY, "gone"), ("working",))
    )
    found = samples(collector.metrics)
    names = {name for name, _ in found}
    assert not {"dualface_share_free_bytes", "dualface_inbox_files", "dualface_hosts"} & names
    assert not {"dualface_gpu_utilization_percent", "dualface_vram_used_bytes"} & names
    assert found["dualface_share_available", ()] == 0
    assert found["dualface_state", ("share_away",)] == 1
    assert sum(value for (name, _), value in found.items() if name == "dualface_state") == 1


@pytest.mark.parametrize("block_reason", [*BlockReason])
@pytest.mark.parametrize("held", [0, 1])
def test_every_state_of_a_service_has_its_metric(block_reason: BlockReason, held: int) -> None:
    state = _state(Condition(block_reason), running=held, held=held)
    collector = MetricsCollector(Settings())
    collector(tick(ServiceStatus("here", 1, state=state), Condition(block_reason)))
    assert samples(collector.metrics)["dualface_state", (state,)] == 1


def test_jobs_attempts_and_failures_are_counted() -> None:
    collector = MetricsCollector(Settings())
    events: list[Event] = [
        AttemptStarted(job()),
        AttemptEnded(job(), Died("SIGKILL", -9)),
        JobDeferred(job(), DISK_FULL),
        JobFailed(job(), DISK_FULL, "failed/a.report.json"),
        JobFailed(job(), DISK_FULL, "failed/a.report.json"),
    ]
    for event in events:
        collector(event)
    found = samples(collector.metrics)
    assert found["dualface_attempts_total", ()] == 1
    assert found["dualface_worker_ends_total", ("died",)] == 1
    assert found["dualface_retries_total", ("DISK_FULL",)] == 1
    assert found["dualface_jobs_total", ("failed",)] == found["dualface_failures_in_a_row", ()] == 2
    collector(Delivered(job({"status": "succeeded_degraded", "duration_s": 2.5}), "outbox/a.dual.mp4"))
    found = samples(collector.metrics)
    assert found["dualface_jobs_total", ("succeeded_degraded",)] == 1
    assert found["dualface_video_seconds_total", ()] == 2.5
    assert found["dualface_failures_in_a_row", ()] == 0


def test_a_job_whose_recording_the_gpu_does_not_decode_is_counted_once_over_its_attempts() -> None:
    def attempt() -> None:
        stats_collector = StatsCollector()
        stats_collector.count_undecodable("prores")
        collector.stats(job().id, stats_collector.take_delta())

    collector = MetricsCollector(Settings())
    attempt()
    collector(JobDeferred(job(), DISK_FULL))
    attempt()
    assert samples(collector.metrics)["dualface_undecodable_jobs_total", ("prores",)] == 1
    collector(Delivered(job({"status": "succeeded"}), "outbox/a.dual.mp4"))
    attempt()
    assert samples(collector.metrics)["dualface_undecodable_jobs_total", ("prores",)] == 2


def test_capacity_follows_a_reload() -> None:
    collector = MetricsCollector(Settings.model_validate({"workers": {"concurrent_jobs": 3}}))
    assert samples(collector.metrics)["dualface_job_slots", ()] == 3
    collector(Tick(ServiceStatus("here", 1), Condition(), [], slots=5))
    assert samples(collector.metrics)["dualface_job_slots", ()] == 5


def test_a_full_queue_is_shown_as_full_whatever_its_size() -> None:
    stats_collector = StatsCollector()
    for _ in range(3):
        stats_collector.enqueue("compose", 16, most_parts=3)
    collector = MetricsCollector(Settings())
    collector.stats("1", stats_collector.take_delta())
    found = samples(collector.metrics)
    assert found["dualface_queue_fill_ratio_count", ("compose",)] == 3
    assert found["dualface_queue_fill_ratio_sum", ("compose",)] == pytest.approx(2)


def test_the_queue_of_a_job_that_has_ended_is_forgotten() -> None:
    stats_collector = StatsCollector()
    stats_collector.enqueue("decode", 12, most_parts=3)
    collector = MetricsCollector(Settings())
    collector.stats("1", stats_collector.take_delta())
    running = RunningJob("1", "a.mp4", "render", 1.0, 1.0, None, "downscale", 1)
    collector(tick(ServiceStatus("here", 1, level="downscale", running=[running]), Condition()))
    found = samples(collector.metrics)
    assert found["dualface_queue_depth", ("decode",)] == 12
    assert found["dualface_degradation_level", ()] == 1
    collector(tick(ServiceStatus("here", 1), Condition()))
    assert samples(collector.metrics)["dualface_queue_depth", ("decode",)] == 0
    assert samples(collector.metrics)["dualface_queue_depth_frames_count", ("decode",)] == 1


def test_nodes_of_a_cluster_come_and_go() -> None:
    collector = MetricsCollector(Settings())
    nodes = [NodeLine("lab1", "ready", "cpu", ["cpu-1"], 1, 2), NodeLine("lab2", "other_share")]
    collector(tick(ServiceStatus("here", 1, nodes=nodes), Condition(free_bytes=1)))
    found = samples(collector.metrics)
    assert found["dualface_cluster_nodes", ("ready",)] == found["dualface_cluster_nodes", ("other_share",)] == 1
    assert (found["dualface_node_workers", ("lab1",)], found["dualface_node_slots", ("lab1",)]) == (1, 2)
    collector(tick(ServiceStatus("here", 1), Condition(free_bytes=1)))
    assert not {"dualface_cluster_nodes", "dualface_node_slots"} & {name for name, _ in samples(collector.metrics)}
