"""The metrics over HTTP and as a file."""

from __future__ import annotations

import json
import socket
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from daemon.config.settings import MetricsSettings, Settings
from daemon.observability.collector import MetricsCollector
from daemon.observability.exporter import MetricsExporter
from tests.support.metrics import wait_for
from tests.support.scrape import free_port


@pytest.fixture
def port() -> int:
    return free_port()


def test_metrics_are_served_and_written_and_the_last_values_show_a_stop(tmp_path: Path, port: int) -> None:
    collector = MetricsCollector(Settings())
    path = tmp_path / "dualface.prom"
    exporter = MetricsExporter(MetricsSettings(http=True, port=port, textfile=str(path)), collector.metrics)
    with exporter.running():
        wait_for(path.exists)
        served = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
        assert "dualface_up 1.0" in served
        assert "dualface_up 1.0" in path.read_text()
        assert path.stat().st_mode & 0o777 == 0o644
        collector.stopped()
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
