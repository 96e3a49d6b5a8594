"""The findings of doctor about metrics and messages."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from daemon.diagnostics.checks.context import Context
from daemon.diagnostics.checks.observers import metrics, notifications
from daemon.diagnostics.framework import CHECKS, Verdict
from daemon.observability.collector import MetricsCollector
from daemon.observability.exporter import MetricsExporter
from tests.support.mailbox import Mailbox
from tests.support.scrape import free_port
from tests.support.share import settings_for


def context(tmp_path: Path, **sections: Any) -> Context:
    return Context(settings_for(tmp_path, **sections), directly=True)


def test_both_are_checks_and_not_applicable_where_they_are_off(tmp_path: Path) -> None:
    assert {"metrics", "notifications"} <= set(CHECKS)
    for look in (metrics, notifications):
        assert look(context(tmp_path)).verdict is Verdict.NOT_APPLICABLE


def test_metrics_that_are_shown_are_well(tmp_path: Path) -> None:
    sections = {"metrics": {"http": True, "address": "0.0.0.0", "port": free_port(), "textfile": f"{tmp_path}/x.prom"}}
    found = context(tmp_path, **sections)
    assert "Nothing answers" in metrics(found).summary
    assert "cannot be read" in metrics(found).summary
    recorder = MetricsCollector(found.settings)
    deadline = time.monotonic() + 60
    with MetricsExporter(found.settings.metrics, recorder.metrics).running():
        while metrics(found).verdict is not Verdict.OK:
            assert time.monotonic() < deadline
    os.utime(tmp_path / "x.prom", (0, 0))
    assert "s old" in metrics(found).summary


def test_another_program_on_the_port_is_noticed(tmp_path: Path) -> None:
    with Mailbox().open() as other:
        port = int(other.url.rsplit(":", 1)[1])
        finding = metrics(context(tmp_path, metrics={"http": True, "port": port}))
    assert finding.verdict is Verdict.WARNING
    assert "Another program" in finding.summary
    assert finding.remedy


def test_a_port_that_hangs_does_not_hang_the_doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.diagnostics.checks.observers._ANSWER_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert metrics(context(tmp_path, metrics={"http": True, "port": port})).verdict is Verdict.WARNING


def test_urls_are_judged_and_never_repeated(tmp_path: Path) -> None:
    urls = ["json://127.0.0.1:1", "nonsense://geheim@x"]
    finding = notifications(context(tmp_path, notify={"urls": urls}))
    assert finding.verdict is Verdict.WARNING
    assert "number 2" in finding.summary
    assert "number 1" not in finding.summary
    assert "geheim" not in finding.summary + finding.remedy
    assert notifications(context(tmp_path, notify={"urls": urls[:1]})).verdict is Verdict.OK
