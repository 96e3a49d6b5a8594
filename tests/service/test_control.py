"""Operators' words to a running service, given as they give them: by the command, through the share alone."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.support.service import PATIENCE_S, Service


def dualface(service: Service, *arguments: str) -> subprocess.CompletedProcess[str]:
    """As from another machine: no configuration of the service, only the share."""
    command = [sys.executable, "-m", "daemon", *arguments, "--root", str(service.root)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert "Traceback" not in done.stderr
    return done


def test_pause_and_resume(service: Service, recording: Path) -> None:
    service.start()
    done = dualface(service, "pause", "--reason", "new disks")
    assert done.returncode == 0, done.stderr
    service.wait_for(lambda: service.status()["state"] == "paused", "the pause")
    assert service.status()["reason"].startswith("new disks (")
    shutil.copy(recording, service.inbox("a.mp4"))
    service.wait_for(lambda: service.status()["queued"] == 1, "a settled file")
    shown = dualface(service, "status")
    assert shown.returncode == 0
    assert re.search("paused since 20.*: new disks", shown.stdout)
    assert "inbox/a.mp4" in shown.stdout
    assert service.jobs() == []
    assert "the pause" in dualface(service, "resume").stdout
    service.wait_for(lambda: service.exists("outbox/a.dual.report.json"), "the result")


def test_drain_finishes_what_runs_and_takes_nothing_new(service: Service, recording: Path) -> None:
    service.start()
    shutil.copy(recording, service.inbox("a.mp4"))
    service.wait_for(service.jobs, "the claim")
    waits = subprocess.Popen(
        [sys.executable, "-m", "daemon", "drain", "--reason", "kernel", "--root", str(service.root)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    service.wait_for(lambda: service.status()["state"] in ("draining", "drained"), "the drain")
    shutil.copy(recording, service.inbox("b.mp4"))
    out, err = waits.communicate(timeout=PATIENCE_S)
    assert waits.returncode == 0, err
    assert "no job runs there" in out
    assert service.exists("outbox/a.dual.report.json")
    service.wait_for(lambda: service.status()["queued"] == 1, "the second file")
    assert service.status()["state"] == "drained"
    assert service.jobs() == []
    assert service.stop() == 0
    service.start()
    service.wait_for(lambda: service.status()["state"] == "drained", "the drain after a restart")
    dualface(service, "resume")
    service.wait_for(lambda: service.exists("outbox/b.dual.report.json"), "the second result")


def test_retry_after_a_repair(make_service: Callable[..., Service]) -> None:
    service = make_service(inboxes=[{"path": "inbox"}, {"path": "other", "profile": "fast"}]).start()
    wrong = service.root / "other" / "sub" / "bad.mp4"
    wrong.parent.mkdir(parents=True)
    wrong.write_text("no film\n" * 50)
    service.wait_for(lambda: service.exists("failed/sub/bad.report.json"), "the failure")
    assert service.report("failed/sub/bad.report.json")["input"]["path"] == "other/sub/bad.mp4"
    done = subprocess.run(
        [sys.executable, "-m", "daemon", "retry", "bad", "--config", str(service.config)],
        capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "sub/bad.mp4 is in other/sub/bad.mp4 again.\n"), done.stderr
    service.wait_for(lambda: len(service.events("job failed")) == 2, "the second failure")
    service.wait_for(lambda: service.exists("failed/sub/bad.report.json"), "its report")
    assert service.files("failed") == {"sub/bad.mp4", "sub/bad.report.json"}


def test_status_distinguishes_a_dead_service_from_a_stopped_one(service: Service) -> None:
    service.start()
    service.wait_for(lambda: service.exists("outbox/status.json"), "its first word")
    shown = dualface(service, "status", "--json")
    assert shown.returncode == 0
    document = json.loads(shown.stdout)
    assert (document["alive"], document["schema"]) == (True, "dualface.status/1")
    service.kill()
    shown = dualface(service, "status")
    assert shown.returncode == 3
    assert "is not running: it ended unexpectedly" in shown.stdout
    service.start()
    assert service.stop() == 0
    shown = dualface(service, "status")
    assert shown.returncode == 3
    assert "was stopped at" in shown.stdout


def rewrite(service: Service, **sections: object) -> None:
    document = yaml.safe_load(service.config.read_text())
    service.config.write_text(yaml.safe_dump({**document, **sections}))


def reload(service: Service, event: str) -> dict[str, Any]:
    """SIGHUP, as systemctl reload sends it; returns the line of the journal."""
    assert service.process is not None
    seen = len(service.events(event))
    service.process.send_signal(signal.SIGHUP)
    service.wait_for(lambda: len(service.events(event)) > seen, event)
    return service.events(event)[-1]


def test_a_changed_configuration_is_taken_over_while_work_goes_on(service: Service, recording: Path) -> None:
    service.start()
    shutil.copy(recording, service.inbox("a.mp4"))
    service.wait_for(service.jobs, "the claim")
    rewrite(service, settle={"local_s": 0.2, "polls": 2}, profiles={"default": {"preset": "superfast", "crf": 33}},
            leases={"renew_s": 3.0}, workers={"concurrent_jobs": 2, "stop_timeout_s": 60})  # fmt: skip
    line = reload(service, "configuration taken over")
    assert {"settle.local_s", "profiles.default.crf", "workers.concurrent_jobs"} <= set(line["changed"])
    assert line["after_restart"] == ["leases.renew_s"]
    service.wait_for(lambda: service.status().get("notes"), "the note")
    assert "leases.renew_s" in service.status()["notes"][0]
    for name in "bc":
        shutil.copy(recording, service.inbox(f"{name}.mp4"))
    service.wait_for(lambda: len(service.workers()) == 2, "two at once")
    service.wait_for(lambda: service.exists("outbox/c.dual.report.json"), "the last result")
    assert service.stop() == 0
    assert not service.events("job resumes"), "work was disturbed"
    reloading = [line for line in service.notifications() if line.startswith("RELOADING=1")]
    assert len(reloading) == 1
    assert service.notifications().count("READY=1") == 2


def test_a_wrong_edit_never_stops_a_running_service(service: Service, recording: Path) -> None:
    service.start()
    good = service.config.read_text()
    for wrong, words in (("settle: {local_s: soon}\n", "settle.local_s"), ("a: b: c", "not YAML")):
        service.config.write_text(wrong)
        assert words in reload(service, "configuration not taken over")["reason"]
    service.wait_for(lambda: "not YAML" in "".join(service.status()["notes"]), "the note")
    service.wait_for(lambda: any("has mistakes" in line for line in service.notifications()), "the line for systemd")
    assert "has mistakes" in dualface(service, "status").stdout
    shutil.copy(recording, service.inbox("a.mp4"))
    service.wait_for(lambda: service.exists("outbox/a.dual.report.json"), "the result")
    service.config.write_text(good)
    assert reload(service, "configuration taken over")["changed"] == []
    service.wait_for(lambda: service.status()["notes"] == [], "the end of the note")
    assert service.stop() == 0


def test_config_set_and_reload(service: Service) -> None:
    service.start()
    command = [sys.executable, "-m", "daemon", "config", "set", "--config", str(service.config)]
    done = subprocess.run(
        [*command, "log.level", "debug", "--reason", "a closer look"],
        capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "systemctl reload" in done.stdout
    assert reload(service, "configuration taken over")["changed"] == ["log.level"]
    assert ": a closer look" in service.config.read_text()
