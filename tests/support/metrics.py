"""Reading of metrics, and events for their tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from daemon.jobs.job import Job
from daemon.jobs.manifest import Manifest
from daemon.jobs.start_conditions import Condition
from daemon.observability.events import Tick
from daemon.observability.registry import MetricsRegistry
from daemon.status.model import HostLine, ServiceStatus
from daemon.worker.protocol import Failed

DISK_FULL = Failed("DISK_FULL", "full", "free some", retryable=True, environmental=True)


def _text(metrics: MetricsRegistry) -> str:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(metrics)
    return generate_latest(registry).decode()


def samples(metrics: MetricsRegistry) -> dict[tuple[str, tuple[str, ...]], float]:
    """Return the exported values by name and label values."""
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(_text(metrics))
        for sample in family.samples
    }


def job(result: dict[str, Any] | None = None) -> Job:
    """Return a job without a directory."""
    return Job(Path("/nowhere"), Manifest("1", "inbox", "a.mp4", "default", result=result))


def tick(status: ServiceStatus, condition: Condition, hosts: tuple[str, ...] = ()) -> Tick:
    """Return a tick with hosts in these states."""
    return Tick(status, condition, [HostLine(f"host{n}", state, "", "normal", 0, "") for n, state in enumerate(hosts)])


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until a condition is true; fail after 20 s."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
