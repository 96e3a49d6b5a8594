"""Metrics and notifications: what listens to the service's events beside the status page."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from daemon.config.settings import Settings
from daemon.observability.activity_log import ActivityLog
from daemon.observability.collector import MetricsCollector
from daemon.observability.events import Listener
from daemon.observability.exporter import MetricsExporter
from daemon.observability.gpu_metrics import GPUMetrics
from daemon.observability.notifier import AlertNotifier


@contextmanager
def observing(settings: Settings) -> Iterator[tuple[MetricsCollector, list[Listener]]]:
    """Run everything that watches the service; yield the metrics collector and all listeners."""
    collector = MetricsCollector(settings)
    listeners: list[Listener] = [collector, ActivityLog(time.monotonic)]
    with ExitStack() as running:
        exporter = MetricsExporter(settings.metrics, collector.metrics)
        if exporter.wanted:
            running.enter_context(exporter.running())
            if settings.device.backend != "cpu":
                gpus = GPUMetrics(collector.metrics, time.monotonic)
                running.enter_context(gpus.running())
                listeners.append(lambda _: gpus.expire())
        if settings.notify.urls:
            notifier = AlertNotifier(settings, collector.notified)
            running.enter_context(notifier.running())
            listeners.append(notifier)
        try:
            yield collector, listeners
        finally:
            collector.stopped()
