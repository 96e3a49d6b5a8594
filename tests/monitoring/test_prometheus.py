"""A real Prometheus scrapes the real service at work: every rule evaluates, every panel of the dashboard has data.

A Grafana would send the dashboard's queries to Prometheus with its variables filled in; so does this.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.monitoring.queries import RULES, dashboard_queries, rules
from tests.support.gpu_presence import count_gpus
from tests.support.recordings import write_recording
from tests.support.scrape import free_port
from tests.support.service import Service

pytestmark = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="Prometheus is not installed; tests/monitoring/run.sh fetches it"
)


class Prometheus:
    """A server of its own, with our rules, that scrapes one service every second."""

    def __init__(self, folder: Path, target: int) -> None:
        folder.mkdir()
        self._url = f"http://127.0.0.1:{free_port()}"
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(RULES)],
            "scrape_configs": [
                {"job_name": "dualface", "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]},
            ],
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        self._command = [
            "prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={self._url.removeprefix('http://')}",
        ]  # fmt: skip
        self._log = folder / "log"

    @contextmanager
    def running(self) -> Iterator[None]:
        with self._log.open("wb") as log:
            process = subprocess.Popen(self._command, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait(timeout=30)

    def get(self, path: str, **parameters: str) -> Any:
        query = urllib.parse.urlencode(parameters)
        try:
            answer = json.load(urllib.request.urlopen(f"{self._url}/api/v1/{path}?{query}", timeout=10))
        except urllib.error.HTTPError as error:
            if error.code == 503:  # it is still starting
                return None
            raise AssertionError(f"{parameters}: {error.read().decode()}") from error
        except OSError:
            return None
        assert answer["status"] == "success"
        return answer["data"]

    def query(self, text: str) -> list[dict[str, Any]]:
        found = self.get("query", query=text)
        return found["result"] if found else []

    def value(self, text: str) -> float:
        """The sum of what a query finds, 0 where it finds nothing."""
        return sum(float(sample["value"][1]) for sample in self.query(text))


def wait_for(condition: Callable[[], object], what: str, timeout_s: float = 120) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_s} s for {what}"
        time.sleep(0.1)


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def service(tmp_path: Path, port: int) -> Iterator[Service]:
    (tmp_path / "service").mkdir()
    service = Service(tmp_path / "service", metrics={"http": True, "port": port}, workers={"max_attempts": 9})
    yield service
    service.close()


@pytest.mark.slow
def test_dashboard_and_rules_live_on_what_the_service_shows(service: Service, port: int, tmp_path: Path) -> None:
    recording = write_recording(tmp_path / "recording.mp4", seconds=10, fps=15, size=(480, 270))
    prometheus = Prometheus(tmp_path / "prometheus", port)
    service.start()
    with prometheus.running():
        wait_for(lambda: prometheus.value("dualface_up") == 1, "the first scrape")
        service.inbox("broken.mp4").write_bytes(b"no video at all")
        shutil.copy(recording, service.inbox("x.mp4"))
        service.wait_for(service.segments, "a segment")
        service.kill_workers()
        wait_for(lambda: prometheus.value("dualface_retries_total{code='WORKER_DIED'}") == 1, "the retry")
        wait_for(lambda: prometheus.value("dualface_jobs_total{status='succeeded'}") == 1, "the delivery")

        _every_panel_has_data(prometheus)
        _every_rule_evaluates(prometheus)
        assert prometheus.value("resets(dualface_frames_total[10m])") == 0
        frames = service.report("outbox/x.dual.report.json")["output"]["frames"]
        assert prometheus.value("dualface_frames_total") > frames / 2

        service.root.rename(service.folder / "elsewhere")
        wait_for(lambda: prometheus.query("ALERTS{alertname='DualfaceShareAway'}"), "the alert")
        (service.folder / "elsewhere").rename(service.root)
        wait_for(lambda: prometheus.value("dualface_share_available") == 1, "the return")
        assert service.stop() == 0
        wait_for(lambda: prometheus.query("ALERTS{alertname='DualfaceDown'}"), "the alert of a service that is down")


def _every_panel_has_data(prometheus: Prometheus) -> None:
    of_nothing_here = ("undecodable", "warnings_total", "cluster_nodes", "dualface_node_")
    of_gpus = ("dualface_gpu_", "dualface_vram_used", "dualface_nvdec_", "dualface_nvenc_")
    for query in dashboard_queries():
        found = prometheus.query(query.with_variables(rate_interval="2m"))
        if any(name in query.text for name in of_gpus):
            assert bool(found) == bool(count_gpus()) or "nvenc" in query.text, query.where
        elif any(name in query.text for name in of_nothing_here):
            assert not found, query.where
        elif query.where != "Service began":  # an annotation: there is none while a service just runs
            assert found, f"{query.where}: {query.text}"
            assert all(sample["value"][1] != "NaN" for sample in found), f"{query.where}: {query.text}"


def _every_rule_evaluates(prometheus: Prometheus) -> None:
    groups = prometheus.get("rules")["groups"]
    loaded = [rule for group in groups for rule in group["rules"]]
    assert {rule["name"] for rule in loaded} == {rule["alert"] for rule in rules()}
    assert {rule["health"] for rule in loaded} == {"ok"}
    assert {rule["name"] for rule in loaded if rule["state"] == "firing"} == set()
