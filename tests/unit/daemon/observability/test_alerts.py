"""Messages to people: which, in what words, how few, and through a real server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.config.loader import load_with_origins
from daemon.config.render import rows
from daemon.config.settings import NotifySettings
from daemon.jobs.job import Job
from daemon.jobs.manifest import Manifest
from daemon.jobs.start_conditions import BlockReason, Condition
from daemon.observability.alerts import Alert, AlertKind, AlertRules, AlertThrottle
from daemon.observability.events import JobFailed, Tick
from daemon.status.model import RunningJob, ServiceStatus
from daemon.worker import subprocess_call
from daemon.worker.protocol import Failed
from tests.support.mailbox import Mailbox


def shown(block_reason: BlockReason = BlockReason.NONE, *jobs: tuple[str, str]) -> Tick:
    running = [
        RunningJob(job, f"inbox/{job}.mp4", "render", 1, 1, 1, level, 1, level_reason="the GPU is full")
        for job, level in jobs
    ]
    return Tick(ServiceStatus("here", 1, running=running), Condition(block_reason, "because of that"), [])


def kinds(reporter: AlertRules, *events: Tick) -> list[list[str]]:
    return [[alert.kind.value for alert in reporter.alerts(event)] for event in events]


def test_a_failure_names_the_file_the_reason_and_the_remedy() -> None:
    job = Job(Path("/nowhere"), Manifest("1", "inbox", "a\n\x1b[31mb.mp4", "default"))
    failure = Failed("NOT_MEDIA", "This is no video.", "Export it again.")
    (alert,) = AlertRules("here").alerts(JobFailed(job, failure, "failed/b.report.json"))
    assert alert.kind is AlertKind.FAILED
    assert alert.title.startswith("inbox/a")
    assert "\n" not in alert.title + alert.brief
    assert "\x1b" not in alert.title + alert.text
    for words in ("This is no video.", "Export it again.", "failed/b.report.json"):
        assert words in alert.text


def test_trouble_leads_to_one_alert_and_so_does_its_end() -> None:
    away, fine, low = shown(BlockReason.SHARE_AWAY), shown(), shown(BlockReason.LOW_SPACE)
    assert kinds(AlertRules("here"), fine, away, away, fine, fine, low, low, fine) == [
        [], ["share_away"], [], ["recovered"], [], ["low_space"], [], ["recovered"],
    ]  # fmt: skip
    assert kinds(AlertRules("here"), low, away) == [["low_space"], ["recovered", "share_away"]]


def test_a_pause_shows_that_the_share_is_back_but_not_its_space() -> None:
    paused = shown(BlockReason.PAUSED)
    assert kinds(AlertRules("here"), paused, shown(BlockReason.LOW_SPACE), paused, shown()) == [
        [], ["low_space"], [], ["recovered"],
    ]  # fmt: skip
    assert kinds(AlertRules("here"), shown(BlockReason.SHARE_AWAY), paused) == [["share_away"], ["recovered"]]


def test_degradation_leads_to_one_alert_per_job() -> None:
    deep = shown(BlockReason.NONE, ("a", "downscale"), ("b", "normal"))
    deeper = shown(BlockReason.NONE, ("a", "frame_skip"), ("b", "downscale"))
    better = shown(BlockReason.NONE, ("a", "normal"), ("b", "normal"))
    assert kinds(AlertRules("here"), better, deep, deep, deeper, better, better, deep) == [
        [], ["degraded"], [], ["degraded"], ["recovered"], [], [],
    ]  # fmt: skip
    assert kinds(AlertRules("here"), deep, shown(), better) == [["degraded"], [], ["recovered"]]


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 500), st.sampled_from(AlertKind)), max_size=60))
def test_at_most_one_alert_in_the_quiet_time_and_none_is_lost(
    steps: list[tuple[float, AlertKind]],
) -> None:
    now = [0.0]
    throttle = AlertThrottle(900, lambda: now[0])
    sent: list[tuple[float, AlertKind]] = []
    reported = 0
    for wait_s, kind in [*steps, (10_000.0, None), (10_000.0, None)]:
        now[0] += wait_s
        for summary in throttle.summaries():
            sent.append((now[0], summary.kind))
            reported += int(summary.title.split()[0])
        if kind is not None and throttle.passes(Alert(kind, "t", "x", "b")):
            sent.append((now[0], kind))
            reported += 1
    assert reported == len(steps)
    for kind in AlertKind:
        times = [at for at, sent_kind in sent if sent_kind is kind]
        assert all(later - earlier >= 900 - 1e-6 for earlier, later in pairwise(times))


def test_a_summary_names_the_first_and_counts_the_rest() -> None:
    now = [0.0]
    throttle = AlertThrottle(600, lambda: now[0])
    for number in range(9):
        throttle.passes(Alert(AlertKind.FAILED, "", "", f"{number}.mp4 (NOT_MEDIA)"))
    now[0] = 600
    (summary,) = throttle.summaries()
    assert summary.title == "8 more in 10 minutes: files that could not be done"
    assert summary.text.splitlines() == [*(f"{n}.mp4 (NOT_MEDIA)" for n in range(1, 6)), "and 3 more"]


def ask(urls: dict[str, str], timeout_s: float = 5, **message: str) -> dict[str, str]:
    order = {"urls": urls, "timeout_s": timeout_s, **message}
    answer: dict[str, str] = subprocess_call.ask(
        "daemon.observability.apprise_sender", (), timeout_s=240, stdin=json.dumps(order).encode()
    )
    return answer


def test_a_message_goes_to_all_working_urls_and_failures_are_named() -> None:
    with Mailbox().open() as good, Mailbox(status=500).open() as broken, Mailbox(hangs=True).open() as silent:
        urls = {"1": good.url, "2": broken.url, "3": silent.url, "4": "json://127.0.0.1:1", "5": "nonsense://x"}
        failed = ask(urls, timeout_s=2, title="one & <b>two</b>", text="line\nline")
        assert [message["message"] for message in good.messages] == ["line\nline"]
        assert good.titles == ["one & <b>two</b>"]
        assert set(failed) == {"2", "3", "4", "5"}
        assert "500" in failed["2"]
        assert failed["3"] == "no answer in time"


def test_urls_are_checked_without_a_message() -> None:
    with Mailbox().open() as good:
        assert list(ask({"1": good.url, "2": "nonsense://secret@x"})) == ["2"]
        assert good.attempts == 0


def test_without_apprise_the_remedy_is_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "apprise.py").write_text("raise ImportError('No module named apprise')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(subprocess_call.AnsweredError, match="No module named apprise") as error:
        ask({"1": "json://127.0.0.1:1"})
    assert f"{sys.executable} -m pip install 'apprise" in error.value.remedy


def test_the_service_does_not_load_apprise() -> None:
    code = "import sys, daemon.service.main; print('apprise' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_it_is_off_by_default() -> None:
    assert NotifySettings().urls == ()


def test_passwords_are_not_shown(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("notify: {urls: ['mailtos://me:geheim@example.org', 'slack://geheim/geheim']}")
    (row,) = (row for row in rows(load_with_origins(config)) if row.key == "notify.urls")
    assert row.value == ["mailtos://...", "slack://..."]
    shown = subprocess.run(
        [sys.executable, "-m", "daemon", "config", "show", "--config", config],
        capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip
    assert "mailtos" in shown.stdout
    assert "geheim" not in shown.stdout
