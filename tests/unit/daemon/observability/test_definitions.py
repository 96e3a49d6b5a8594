"""Metrics: names as promised, documented, absent where unknown, and shown without ever disturbing anybody."""

from __future__ import annotations

import json
import re
import socket
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from daemon.config.settings import MetricsSettings, Settings
from daemon.jobs.job import Job
from daemon.jobs.manifest import Manifest
from daemon.jobs.start_conditions import BlockReason, Condition
from daemon.observability import definitions as metrics
from daemon.observability.collector import MetricsCollector
from daemon.observability.definitions import DEFINITIONS
from daemon.observability.events import (
    AttemptEnded,
    AttemptStarted,
    Delivered,
    Event,
    EventBus,
    JobDeferred,
    JobFailed,
    Tick,
)
from daemon.observability.exporter import MetricsExporter
from daemon.observability.gpu_metrics import GPUMetrics
from daemon.observability.registry import MetricsRegistry
from daemon.service.history import HistoryRecorder
from daemon.service.snapshot import _state
from daemon.status.model import History, HostLine, RunningJob, ServiceStatus
from daemon.worker.pool import Died
from daemon.worker.protocol import Failed
from engines.nvml import GPULoad
from pipeline.telemetry.counters import StatsCollector
from tests.support.scrape import free_port

ROOT = Path(__file__).parents[4]
PROMISED = {
    "dualface_gpu_utilization_percent", "dualface_vram_used_bytes", "dualface_nvdec_utilization_percent",
    "dualface_nvenc_utilization_percent", "dualface_frame_latency_seconds", "dualface_queue_depth",
    "dualface_jobs_total", "dualface_frames_total", "dualface_degradation_level", "dualface_retries_total",
    "dualface_stage_seconds",
}  # fmt: skip
DISK_FULL = Failed("DISK_FULL", "full", "free some", retryable=True, environmental=True)


def text(meters: MetricsRegistry) -> str:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(meters)
    return generate_latest(registry).decode()


def samples(meters: MetricsRegistry) -> dict[tuple[str, tuple[str, ...]], float]:
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text(meters))
        for sample in family.samples
    }


def job(result: dict[str, Any] | None = None) -> Job:
    return Job(Path("/nowhere"), Manifest("1", "inbox", "a.mp4", "default", result=result))


def shown(status: ServiceStatus, condition: Condition, hosts: tuple[str, ...] = ()) -> Tick:
    return Tick(status, condition, [HostLine(f"host{n}", state, "", "normal", 0, "") for n, state in enumerate(hosts)])


def test_every_promised_name_is_there() -> None:
    assert {meter.name for meter in DEFINITIONS} >= PROMISED


@pytest.mark.parametrize("meter", DEFINITIONS, ids=lambda meter: meter.name)
def test_definitions_follow_the_rules_of_prometheus(meter: metrics.MetricDefinition) -> None:
    assert re.fullmatch(r"dualface(_[a-z]+)+", meter.name)
    assert meter.name.endswith("_total") == (meter.kind == "counter")
    assert bool(meter.bounds) == (meter.kind == "histogram")
    assert meter.bounds == tuple(sorted(meter.bounds))
    assert meter.help.endswith(".")
    assert not {"le", "file", "job", "path"} & set(meter.labels)


def test_the_documentation_is_up_to_date() -> None:
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert text == metrics.document(), "run: python -m daemon.observability.definitions > docs/metrics.md"


def test_counters_begin_at_zero_so_that_their_first_step_is_seen() -> None:
    found = samples(MetricsCollector(Settings()).metrics)
    assert found["dualface_jobs_total", ("failed",)] == 0
    assert found["dualface_frames_total", ()] == 0
    assert found["dualface_frame_latency_seconds_count", ()] == 0
    assert found["dualface_stage_seconds_count", ("encode",)] == 0


def test_a_service_that_has_not_looked_yet_runs_nothing() -> None:
    found = samples(MetricsCollector(Settings()).metrics)
    assert found["dualface_jobs_running", ()] == found["dualface_degradation_level", ()] == 0


def test_what_is_not_known_is_absent() -> None:
    recorder = MetricsCollector(Settings())
    recorder(shown(ServiceStatus("here", 1, queued=3), Condition(free_bytes=123), ("working", "idle", "idle")))
    found = samples(recorder.metrics)
    assert found["dualface_share_free_bytes", ()] == 123
    assert found["dualface_inbox_files", ("ready",)] == 3
    assert found["dualface_hosts", ("idle",)] == 2
    recorder(
        shown(ServiceStatus("here", 1, state="share_away"), Condition(BlockReason.SHARE_AWAY, "gone"), ("working",))
    )
    found = samples(recorder.metrics)
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
    recorder = MetricsCollector(Settings())
    recorder(shown(ServiceStatus("here", 1, state=state), Condition(block_reason)))
    assert samples(recorder.metrics)["dualface_state", (state,)] == 1


def test_jobs_attempts_and_failures_are_counted() -> None:
    recorder = MetricsCollector(Settings())
    events: list[Event] = [
        AttemptStarted(job()),
        AttemptEnded(job(), Died("SIGKILL", -9)),
        JobDeferred(job(), DISK_FULL),
        JobFailed(job(), DISK_FULL, "failed/a.report.json"),
        JobFailed(job(), DISK_FULL, "failed/a.report.json"),
    ]
    for event in events:
        recorder(event)
    found = samples(recorder.metrics)
    assert found["dualface_attempts_total", ()] == 1
    assert found["dualface_worker_ends_total", ("died",)] == 1
    assert found["dualface_retries_total", ("DISK_FULL",)] == 1
    assert found["dualface_jobs_total", ("failed",)] == found["dualface_failures_in_a_row", ()] == 2
    recorder(Delivered(job({"status": "succeeded_degraded", "duration_s": 2.5}), "outbox/a.dual.mp4"))
    found = samples(recorder.metrics)
    assert found["dualface_jobs_total", ("succeeded_degraded",)] == 1
    assert found["dualface_video_seconds_total", ()] == 2.5
    assert found["dualface_failures_in_a_row", ()] == 0


def test_a_job_whose_recording_the_gpu_does_not_decode_is_counted_once_over_its_attempts() -> None:
    def attempt() -> None:
        stats_collector = StatsCollector()
        stats_collector.undecodable("prores")
        recorder.stats(job().id, stats_collector.take())

    recorder = MetricsCollector(Settings())
    attempt()
    recorder(JobDeferred(job(), DISK_FULL))
    attempt()
    assert samples(recorder.metrics)["dualface_undecodable_jobs_total", ("prores",)] == 1
    recorder(Delivered(job({"status": "succeeded"}), "outbox/a.dual.mp4"))
    attempt()
    assert samples(recorder.metrics)["dualface_undecodable_jobs_total", ("prores",)] == 2


def test_capacity_follows_a_reload() -> None:
    recorder = MetricsCollector(Settings.model_validate({"workers": {"concurrent_jobs": 3}}))
    assert samples(recorder.metrics)["dualface_job_slots", ()] == 3
    recorder(Tick(ServiceStatus("here", 1), Condition(), [], slots=5))
    assert samples(recorder.metrics)["dualface_job_slots", ()] == 5


def test_a_full_queue_is_shown_as_full_whatever_its_size() -> None:
    stats_collector = StatsCollector()
    for _ in range(3):
        stats_collector.queued("compose", 16, most_parts=3)
    recorder = MetricsCollector(Settings())
    recorder.stats("1", stats_collector.take())
    found = samples(recorder.metrics)
    assert found["dualface_queue_fill_ratio_count", ("compose",)] == 3
    assert found["dualface_queue_fill_ratio_sum", ("compose",)] == pytest.approx(2)


def test_the_queue_of_a_job_that_has_ended_is_forgotten() -> None:
    stats_collector = StatsCollector()
    stats_collector.queued("decode", 12, most_parts=3)
    recorder = MetricsCollector(Settings())
    recorder.stats("1", stats_collector.take())
    running = RunningJob("1", "a.mp4", "render", 1.0, 1.0, None, "downscale", 1)
    recorder(shown(ServiceStatus("here", 1, level="downscale", running=[running]), Condition()))
    found = samples(recorder.metrics)
    assert found["dualface_queue_depth", ("decode",)] == 12
    assert found["dualface_degradation_level", ()] == 1
    recorder(shown(ServiceStatus("here", 1), Condition()))
    assert samples(recorder.metrics)["dualface_queue_depth", ("decode",)] == 0
    assert samples(recorder.metrics)["dualface_queue_depth_frames_count", ("decode",)] == 1


def test_gpus_show_what_their_driver_says_and_vanish_with_it() -> None:
    now = [0.0]
    meters = MetricsRegistry(DEFINITIONS)
    gpus = GPUMetrics(meters, lambda: now[0])
    gpus.show([GPULoad(0, "NVIDIA H200", 97.0, 10, 100, 55.0, None)])
    found = samples(meters)
    assert found["dualface_gpu_utilization_percent", ("0",)] == 97
    assert found["dualface_gpu_info", ("0", "NVIDIA H200")] == 1
    assert not any(name == "dualface_nvenc_utilization_percent" for name, _ in found)
    now[0] = 31
    gpus.expire()
    assert samples(meters) == samples(MetricsRegistry(DEFINITIONS))


LOAD = GPULoad(0, "NVIDIA H200", 97.0, 10, 100, 55.0, None)
SILENT = f"import time; print({json.dumps(json.dumps([asdict(LOAD)]))}, flush=True); time.sleep(600)"
LAST_WORDS = f"print({json.dumps(json.dumps([asdict(LOAD)]))}); raise SystemExit(3)"


@pytest.mark.parametrize("program", [SILENT, LAST_WORDS, "print('no JSON')", "import engines.nvml as n; n.main()"])
def test_gpus_are_read_from_a_program_that_may_hang_or_die(program: str) -> None:
    meters = MetricsRegistry(DEFINITIONS)
    gpus = GPUMetrics(meters, time.monotonic, (sys.executable, "-c", program, "0.1"))
    before = set(threading.enumerate())
    with gpus.running():
        if "print" in program and "JSON" not in program:
            wait_for(lambda: samples(meters).get(("dualface_nvdec_utilization_percent", ("0",))) == 55)
    wait_for(lambda: set(threading.enumerate()) <= before)


def test_a_listener_that_fails_is_left_out() -> None:
    heard: list[Event] = []
    called: list[Event] = []

    def broken(event: Event) -> None:
        called.append(event)
        raise RuntimeError("broken")

    events = EventBus(broken, heard.append)
    events.publish(AttemptStarted(job()))
    events.publish(AttemptStarted(job()))
    assert (len(called), len(heard)) == (1, 2)


def test_the_history_hears_of_ends() -> None:
    history = History(5)
    recorder = HistoryRecorder(history, "here")
    recorder(Delivered(job({"status": "succeeded", "verdict": "fine"}), "outbox/a.dual.mp4"))
    recorder(JobFailed(job(), DISK_FULL, "failed/a.report.json"))
    assert [row.verdict for row in history.finished] == ["fine"]
    assert [row.code for row in history.failed] == ["DISK_FULL"]


@pytest.fixture
def port() -> int:
    return free_port()


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_it_is_served_and_written_and_the_last_word_is_down(tmp_path: Path, port: int) -> None:
    recorder = MetricsCollector(Settings())
    path = tmp_path / "dualface.prom"
    exporter = MetricsExporter(MetricsSettings(http=True, port=port, textfile=str(path)), recorder.metrics)
    with exporter.running():
        wait_for(path.exists)
        served = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
        assert "dualface_up 1.0" in served
        assert "dualface_up 1.0" in path.read_text()
        assert path.stat().st_mode & 0o777 == 0o644
        recorder.stopped()
    assert "dualface_up 0.0" in path.read_text()
    assert [found.name for found in tmp_path.iterdir()] == ["dualface.prom"]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


@pytest.mark.parametrize(
    "wrong",
    [{"port": 0}, {"address": "localhost"}, {"address": "256.1.1.1"}, {"textfile": "x.prom"}, {"textfile": "/x.txt"}],
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        MetricsSettings.model_validate(wrong)


def test_the_settings_are_off_and_local_by_default() -> None:
    assert json.loads(MetricsSettings().model_dump_json()) == {
        "http": False, "address": "127.0.0.1", "port": 9477, "textfile": "", "interval_s": 15.0,
    }  # fmt: skip
