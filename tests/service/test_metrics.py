"""Metrics of the real service: scraped while it works, kept when workers die, and never in the way."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.observability.definitions import DEFINITIONS
from tests.support.scrape import Scrape, free_port
from tests.support.service import Service


@pytest.fixture
def port() -> int:
    return free_port()


def test_jobs_are_counted_and_the_death_of_a_worker_takes_nothing_away(
    make_service: Callable[..., Service], recording: Path, port: int, tmp_path: Path
) -> None:
    textfile = tmp_path / "dualface.prom"
    metrics = {"http": True, "port": port, "textfile": str(textfile), "interval_s": 1}
    service = make_service(metrics=metrics, retention={"state_days": 0})
    service.start()
    assert Scrape(port)("dualface_frames_total") == 0
    shutil.copy(recording, service.inbox("x.mp4"))
    service.wait_for(lambda: Scrape(port)("dualface_frames_total") > 0, "frames that are counted")
    service.wait_for(lambda: service.exists("originals/x.mp4"), "the delivery")
    service.wait_for(lambda: Scrape(port)("dualface_jobs_running") == 0, "the end")

    found, report = Scrape(port), service.report("outbox/x.dual.report.json")
    frames = report["output"]["frames"]
    assert found("dualface_frames_total") == found("dualface_frame_latency_seconds_count") == frames
    for stage, timing in report["timing"]["stages"].items():
        assert found("dualface_stage_seconds_sum", stage=stage) == pytest.approx(timing["total_s"], abs=0.01)
    assert found("dualface_stage_seconds_count", stage="compose") == frames
    assert found("dualface_queue_depth_frames_count", stage="decode") > 0
    taken = found("dualface_queue_fill_ratio_sum", stage="decode")
    assert 0 < taken <= found("dualface_queue_fill_ratio_count", stage="decode")
    assert found("dualface_jobs_total", status="succeeded") == 1
    assert found("dualface_video_seconds_total") == pytest.approx(report["output"]["duration_s"])
    assert found("dualface_output_bytes_total") > 10_000
    assert found("dualface_share_available") == found("dualface_hosts") == 1
    assert found("dualface_share_free_bytes") > 0
    assert found.kinds.items() <= {meter.name: meter.kind for meter in DEFINITIONS}.items()

    shutil.copy(recording, service.inbox("y.mp4"))
    _kill_at_work(service, port)
    service.wait_for(lambda: service.exists("originals/y.mp4"), "the second delivery")
    service.wait_for(lambda: Scrape(port)("dualface_jobs_total", status="succeeded") == 2, "its count")
    assert Scrape(port)("dualface_retries_total", code="WORKER_DIED") == 1
    assert Scrape(port)("dualface_attempts_total") == 3
    assert Scrape(port)("dualface_frames_total") > frames

    service.wait_for(lambda: 'dualface_jobs_total{status="succeeded"} 2.0' in textfile.read_text(), "the file")
    assert service.stop() == 0
    assert "dualface_up 0.0" in textfile.read_text()
    assert 'dualface_state{state="stopped"} 1.0' in textfile.read_text()


def _kill_at_work(service: Service, port: int) -> None:
    """Kill the worker once it has rendered a segment, and compare what is counted before and after."""
    service.wait_for(service.segments, "a segment")
    before = Scrape(port).counters()
    service.kill_workers()
    service.wait_for(lambda: Scrape(port)("dualface_worker_ends_total", how="died") == 1, "the death")
    after = Scrape(port).counters()
    assert [key for key, value in before.items() if after[key] < value] == []


def test_a_failed_file_and_a_share_that_is_away_are_counted(make_service: Callable[..., Service], port: int) -> None:
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
