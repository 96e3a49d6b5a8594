"""What `status` makes of what the services wrote: honest about those that died, hang or were stopped."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from rich.console import Console

from daemon.cli import service_hosts, status_view
from daemon.cli.control import drain, pause, resume
from daemon.config.settings import Settings
from daemon.share import leases, reach
from daemon.share.leases import Lease
from daemon.share.share import Share
from daemon.status.liveness import NoStatusError, survey
from daemon.status.model import FailedJob, RunningJob, ServiceStatus, WaitingJob
from daemon.status.store import HostFiles
from tests.support.share import make_share, settings_for

HERE = socket.gethostname()


@pytest.fixture
def share(tmp_path: Path) -> Share:
    return make_share(tmp_path)


@pytest.fixture
def settings(share: Share) -> Settings:
    return settings_for(share.root)


@pytest.fixture
def dead() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def report(share: Share, host: str, state: str, *, pid: int = 0, age_s: float = 0, **more: object) -> None:
    status = ServiceStatus(host, pid or os.getpid(), state, **more)  # type: ignore[arg-type]
    for row in status.running:
        hold(share, row.job, host)
    HostFiles(share.hosts, share.jobs).write(status)
    then = time.time() - age_s
    os.utime(share.hosts / f"{host}.json", (then, then))


def hold(share: Share, job: str, host: str) -> None:
    """Let a host hold a job by its lease."""
    (share.jobs / job).mkdir(exist_ok=True)
    leases.write(share.jobs / job, Lease(host, 1, "boot"))


def shown(share: Share, settings: Settings) -> str:
    console = Console(width=300)
    with console.capture() as capture:
        console.print(status_view.render(survey(share, settings)))
    return capture.get()


def test_a_share_without_any_report_is_explained(share: Share, settings: Settings) -> None:
    with pytest.raises(NoStatusError, match="No service has reported"):
        survey(share, settings)


def test_a_running_service(share: Share, settings: Settings) -> None:
    running = [RunningJob("j", "inbox/[a].mp4", "render", 41.5, 60.0, 75, "downscale", 2, HERE, "little memory", 2.0)]
    report(share, HERE, "working", running=running, queued=3, notes=["look here"])
    assert survey(share, settings).alive
    text = shown(share, settings)
    for words in ("working", "inbox/[a].mp4", "42 %", "2.0x realtime", "1:15 left", "downscale: little memory",
                  "attempt 2", "3 waiting", "look here"):  # fmt: skip
        assert words in text


def test_a_pause_is_shown_with_the_command_to_resume(share: Share, settings: Settings) -> None:
    report(share, HERE, "paused", reason="lunch")
    assert "paused: lunch\n  Continue with: dualface resume" in shown(share, settings)


def test_a_disk_too_full_for_a_report_is_shown(
    share: Share, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    report(share, HERE, "working")
    assert "disk is full" not in shown(share, settings)
    monkeypatch.setattr(Share, "free_bytes", lambda _: 0)
    assert "disk is full, 0 B are free" in shown(share, settings)


def test_a_service_that_died_is_not_shown_as_working(share: Share, settings: Settings, dead: int) -> None:
    running = [RunningJob("j", "inbox/a.mp4", "render", 41.5, 60.0, 75, "normal", 1, HERE)]
    report(share, HERE, "working", pid=dead, running=running)
    found = survey(share, settings)
    assert (found.alive, found.status.state) == (False, "silent")
    text = shown(share, settings)
    for words in (
        "not reporting",
        "is not running",
        "systemctl start dualface",
        "journalctl",
        "continues where it stopped",
    ):
        assert words in text
    assert "working" not in text
    document = json.loads(json.dumps(status_view.as_dict(found)))
    assert (document["alive"], document["hosts"][0]["alive"]) == (False, False)


@pytest.mark.parametrize(
    ("host", "state", "age_s", "words"),
    [
        (HERE, "working", 600, "hangs"),
        ("nas2", "working", 600, "On nas2: systemctl status"),
        ("nas2", "stopped", 600, "was stopped"),
    ],
)
def test_an_old_report_is_shown_as_old(
    share: Share, settings: Settings, host: str, state: str, age_s: float, words: str
) -> None:
    report(share, host, state, age_s=age_s)
    assert not survey(share, settings).alive
    assert words in shown(share, settings)


def test_one_of_two_is_enough(share: Share, settings: Settings, dead: int) -> None:
    report(share, HERE, "working", pid=dead)
    report(share, "nas2", "idle", age_s=20)
    found = survey(share, settings)
    assert (found.alive, found.status.host, found.status.state) == (True, "nas2", "idle")
    assert "is not running" in shown(share, settings)


@pytest.mark.parametrize("taken", ["by another host", "by another host that has done it", "by nobody"])
def test_a_stopped_host_is_not_shown_with_the_job_that_it_lost(
    share: Share, settings: Settings, dead: int, taken: str
) -> None:
    running = [RunningJob("j", "inbox/a.mp4", "render", 41.5, 60.0, 75, "normal", 1, HERE)]
    report(share, HERE, "working", pid=dead, running=running)
    if taken != "by nobody":
        (share.jobs / "j").rename(share.jobs / "j~2")
        hold(share, "j~2", "nas2")
        report(share, "nas2", "idle")
    if taken == "by another host that has done it":
        shutil.rmtree(share.jobs / "j~2")
    document = status_view.as_dict(survey(share, settings))
    assert [row["host"] for row in document["running"]] == ([HERE] if taken == "by nobody" else [])
    assert {host["running"] for host in document["hosts"]} == {0}


def test_a_hanging_host_is_not_shown_with_a_job_of_another(share: Share, settings: Settings) -> None:
    row = RunningJob("j", "inbox/a.mp4", "render", 41.5, 60.0, 75, "normal", 1, "asleep")
    report(share, "asleep", "working", running=[row], waiting=[WaitingJob("k", "inbox/b.mp4", "no", "asleep")])
    report(share, "nas2", "working", running=[replace(row, host="nas2")])
    document = status_view.as_dict(survey(share, settings))
    assert [row["host"] for row in document["running"]] == ["nas2"]
    assert document["waiting"] == []
    assert {host["host"]: host["running"] for host in document["hosts"]} == {"asleep": 0, "nas2": 1}


def test_failures_that_were_dealt_with_are_gone(share: Share, settings: Settings) -> None:
    rows = [
        FailedJob(n, f"inbox/{n}.mp4", "NO_VIDEO", "No video.", "Export it.", "T", HERE, f"failed/{n}.report.json")
        for n in "ab"
    ]
    report(share, HERE, "idle", failed=rows)
    (share.failed / "b.report.json").touch()
    assert [job.job for job in survey(share, settings).status.failed] == ["b"]
    assert "dualface retry" in shown(share, settings)


def test_only_status_json_is_read_too(share: Share, settings: Settings, dead: int) -> None:
    (share.outbox / "status.json").write_text(json.dumps(asdict(ServiceStatus(HERE, dead, "idle"))))
    assert not survey(share, settings).alive


# -- is the share there?


def test_a_share_that_is_not_there_is_explained(tmp_path: Path) -> None:
    with pytest.raises(reach.NoShareError, match="does not exist"):
        reach.check(Share(settings_for(tmp_path / "none")))
    with pytest.raises(reach.NoShareError, match="not mounted"):
        reach.check(Share(settings_for(tmp_path)))


def test_a_share_without_its_state_folder_is_explained(share: Share) -> None:
    shutil.rmtree(share.state)
    with pytest.raises(reach.NoShareError, match=r"The folder \.dualface has gone"):
        reach.check(share)


def test_a_share_that_hangs_is_not_waited_for(share: Share, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a server that has gone: no call on the share returns."""
    back = threading.Event()
    monkeypatch.setattr(reach, "_read_sentinel", lambda _: back.wait())
    monkeypatch.setattr(reach, "_ANSWER_S", 0.2)
    with pytest.raises(reach.NoShareError, match="does not answer"):
        reach.check(share)
    back.set()


# -- pause, drain, resume


def test_a_pause_shows_who_and_when(share: Share) -> None:
    text = pause(share, " new\n disks ")
    assert text.startswith("new disks (")
    assert HERE in text
    assert share.pause_reason() == text
    assert pause(share, "").startswith("by ")
    assert resume(share) == ["the pause"]
    assert resume(share) == []
    assert share.pause_reason() is None


def test_a_drain_is_one_hosts_and_a_resume_everybodys(share: Share) -> None:
    drain(share, ["a", "nas.local"], "kernel")
    assert share.drain_reason("a").startswith("kernel")  # type: ignore[union-attr]
    assert share.drain_reason("b") is None
    assert resume(share) == ["the draining of a", "the draining of nas.local"]


def test_a_drain_does_not_rely_on_a_pause_that_has_just_ended(
    share: Share, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report(share, "a", "paused")
    monkeypatch.setattr(service_hosts.time, "sleep", lambda _: report(share, "a", "drained"))
    service_hosts.wait_until_idle(share, settings, ["a"])
    assert "a is drained" in capsys.readouterr().out
    pause(share, "lunch")
    report(share, "a", "paused")
    service_hosts.wait_until_idle(share, settings, ["a"])
    assert "a is paused" in capsys.readouterr().out


def test_a_pause_that_was_made_on_a_desktop_ends_as_well(share: Share) -> None:
    share.pause_file.mkdir()
    with pytest.raises(Exception, match="is a folder"):
        pause(share, "why")
    assert share.pause_reason() == ""
    resume(share)
    assert share.pause_reason() is None
