"""Metrics and notifications: what listens to the service's events beside the status page."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from daemon.config.settings import Settings
from daemon.observability.activity_log import Summary
from daemon.observability.collector import Recorder
from daemon.observability.events import Listener
from daemon.observability.exporter import Exporter
from daemon.observability.gpu_metrics import GPUMeters
from daemon.observability.notifier import Announcer


@contextmanager
def observing(settings: Settings) -> Iterator[tuple[Recorder, list[Listener]]]:
    """Start what the settings ask for; the value is the metrics recorder and all listeners of the event bus."""
    recorder = Recorder(settings)
    listeners: list[Listener] = [recorder, Summary(time.monotonic)]
    with ExitStack() as running:
        exporter = Exporter(settings.metrics, recorder.meters)
        if exporter.wanted:
            running.enter_context(exporter.running())
            if settings.device.backend != "cpu":
                gpus = GPUMeters(recorder.meters, time.monotonic)
                running.enter_context(gpus.running())
                listeners.append(lambda _: gpus.expire())
        if settings.notify.urls:
            announcer = Announcer(settings, recorder.notified)
            running.enter_context(announcer.running())
            listeners.append(announcer)
        try:
            yield recorder, listeners
        finally:
            recorder.stopped()
