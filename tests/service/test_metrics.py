"""Metrics of the real service: scraped while it works, kept when workers die, and never in the way."""

from __future__ import annotations

import shutil
import socket
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from daemon.metrics import DEFINITIONS
from tests.service.running import Service


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Scrape:
    """One reading of the endpoint."""

    def __init__(self, port: int) -> None:
        text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
        families = list(text_string_to_metric_families(text))
        self.kinds = {family.name + "_total" * (family.type == "counter"): family.type for family in families}
        self._samples = [sample for family in families for sample in family.samples]

    def __call__(self, name: str, **labels: str) -> float:
        """The sum of all samples with that name and these labels."""
        found = [s.value for s in self._samples if s.name == name and labels.items() <= s.labels.items()]
        assert found, f"no {name}{labels}"
        return sum(found)

    def counters(self) -> dict[tuple[str, str], float]:
        rising = ("_total", "_count", "_sum", "_bucket")
        return {(s.name, str(s.labels)): s.value for s in self._samples if s.name.endswith(rising)}


def test_a_job_is_seen_from_its_first_picture_to_its_delivery(
    make_service: Callable[..., Service], recording: Path, port: int, tmp_path: Path
) -> None:
    textfile = tmp_path / "dualface.prom"
    service = make_service(metrics={"http": True, "port": port, "textfile": str(textfile), "interval_s": 1})
    service.start()
    assert Scrape(port)("dualface_frames_total") == 0
    shutil.copy(recording, service.inbox("x.mp4"))
    service.wait_for(lambda: Scrape(port)("dualface_frames_total") > 0, "pictures that are counted")
    service.wait_for(lambda: service.exists("originals/x.mp4"), "the delivery")
    service.wait_for(lambda: Scrape(port)("dualface_jobs_running") == 0, "the end")

    found, report = Scrape(port), service.report("outbox/x.dual.report.json")
    frames = report["output"]["frames"]
    assert found("dualface_frames_total") == found("dualface_frame_latency_seconds_count") == frames
    for stage, timing in report["timing"]["stages"].items():
        assert found("dualface_stage_seconds_sum", stage=stage) == pytest.approx(timing["total_s"], abs=0.01)
    assert found("dualface_stage_seconds_count", stage="compose") == frames
    assert found("dualface_queue_depth_frames_count", stage="decode") > 0
    assert found("dualface_jobs_total", status="succeeded") == 1
    assert found("dualface_video_seconds_total") == pytest.approx(report["output"]["duration_s"])
    assert found("dualface_output_bytes_total") > 10_000
    assert found("dualface_share_available") == found("dualface_hosts") == 1
    assert found("dualface_share_free_bytes") > 0
    assert found.kinds.items() <= {meter.name: meter.kind for meter in DEFINITIONS}.items()

    service.wait_for(lambda: "dualface_jobs_total{status=\"succeeded\"} 1.0" in textfile.read_text(), "the file")
    assert service.stop() == 0
    assert "dualface_up 0.0" in textfile.read_text()
    assert 'dualface_state{state="stopped"} 1.0' in textfile.read_text()


def test_counters_never_go_back_when_workers_die(
    make_service: Callable[..., Service], recording: Path, port: int
) -> None:
    service = make_service(metrics={"http": True, "port": port}, workers={"max_attempts": 9})
    shutil.copy(recording, service.inbox("x.mp4"))
    service.start()
    for killed in (1, 2):
        _kill_at_work(service, port, killed)
    service.wait_for(lambda: service.exists("originals/x.mp4"), "the delivery")
    assert Scrape(port)("dualface_worker_ends_total", how="died") == 2
    assert Scrape(port)("dualface_attempts_total") == 3


def _kill_at_work(service: Service, port: int, killed: int) -> None:
    """Let the worker render something, kill it, and compare what is counted before and after."""
    begin = Scrape(port)("dualface_frames_total")
    service.wait_for(lambda: Scrape(port)("dualface_frames_total") > begin, "pictures")
    before = Scrape(port).counters()
    for worker in service.workers():
        worker.kill()
    service.wait_for(lambda: Scrape(port)("dualface_worker_ends_total", how="died") == killed, "the death")
    after = Scrape(port).counters()
    assert [key for key, value in before.items() if after[key] < value] == []


def test_a_failed_file_and_a_share_that_is_away_are_told(make_service: Callable[..., Service], port: int) -> None:
    service = make_service(metrics={"http": True, "port": port})
    service.inbox("broken.mp4").write_bytes(b"no video at all")
    service.start()
    service.wait_for(lambda: Scrape(port)("dualface_jobs_total", status="failed") == 1, "the failure")
    assert Scrape(port)("dualface_failures_in_a_row") == 1
    service.root.rename(service.folder / "elsewhere")
    service.wait_for(lambda: Scrape(port)("dualface_share_available") == 0, "the absence")
    assert Scrape(port)("dualface_state", state="share_away") == 1
    (service.folder / "elsewhere").rename(service.root)
    service.wait_for(lambda: Scrape(port)("dualface_share_available") == 1, "the return")


def test_metrics_that_cannot_be_shown_are_a_warning_and_nothing_else(
    make_service: Callable[..., Service], recording: Path, tmp_path: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = {"http": True, "port": taken.getsockname()[1], "textfile": "/proc/nowhere/dualface.prom"}
        service = make_service(metrics=settings)
        shutil.copy(recording, service.inbox("x.mp4"))
        service.start()
        service.wait_for(lambda: service.exists("originals/x.mp4"), "the delivery")
        assert service.stop() == 0
    warnings = service.events("metrics cannot be shown")
    assert {line["by"]: line["reason"] for line in warnings} == {
        "http": "Address already in use",
        "textfile": "No such file or directory",
    }
    assert all(line["level"] == "warning" and line["remedy"] for line in warnings)
    assert len(warnings) == 2
