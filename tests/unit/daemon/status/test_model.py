"""The status page: harmless whatever files are called, written only when something changes, kept over a restart."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.clock import utc_now
from daemon.config.settings import StatusSettings
from daemon.pages import facts
from daemon.pages.i18n import Translator, languages
from daemon.share import leases
from daemon.share.leases import Lease
from daemon.share.naming import valid_text
from daemon.share.share import Share
from daemon.status.model import (
    SCHEMA,
    FailedJob,
    FinishedJob,
    History,
    RunningJob,
    ServiceStatus,
    WaitingJob,
    link_to,
    read_status,
)
from daemon.status.page import StatusPage
from daemon.status.store import HostFiles, HostReport, merged
from tests.support.share import make_share

SPEAKER = Translator(languages("auto"))
HOSTILE = "<script>alert(1)</script>\"&'.mp4"


def status() -> ServiceStatus:
    return ServiceStatus(
        host="h",
        pid=1,
        state="working",
        reason=HOSTILE,
        queued=3,
        running=[RunningJob("j", HOSTILE, "render", 41.5, 29.97, 75, "normal", 1)],
        finished=[
            FinishedJob("k", HOSTILE, f"outbox/{HOSTILE}", link_to(f"outbox/{HOSTILE}"), "succeeded", "fine", "now"),
        ],
        failed=[FailedJob("l", HOSTILE, "NOT_MEDIA", HOSTILE, "Export it again.", "2020-01-01T00:00:00+00:00")],
    )


def test_a_link_leads_to_the_file_only() -> None:
    assert link_to("outbox/a b/x#1?.dual.mp4") == "a%20b/x%231%3F.dual.mp4"
    assert link_to("outbox/javascript:alert(1).mp4") == "javascript%3Aalert%281%29.mp4"
    assert link_to("failed/x.report.json") == "../failed/x.report.json"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def share(tmp_path: Path) -> Share:
    return make_share(tmp_path)


def test_names_are_text_and_nothing_else(share: Share) -> None:
    StatusPage(share, StatusSettings(), Clock()).show(status())
    page = (share.outbox / "status.html").read_text()
    assert page.count("<script") == 2
    assert not any("alert(1)" in script for script in re.findall(r"<script>(.*?)</script>", page, re.DOTALL))
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.replace("/<wbr></span>", "/").replace(
        '<span class="folder">', ""
    )
    assert re.findall(r"https?://(?!www.w3.org/2000/svg)", page) == []
    assert 'href="%3Cscript' in page


def test_facts_of_a_job_are_shown_in_words_and_its_notes_as_text(share: Share) -> None:
    shown = status()
    facts = {"people": 0, "sound": "transcoded", "sound_damaged": True, "cpu_fallback": True, "notes": [HOSTILE]}
    shown.finished = [replace(shown.finished[0], facts=facts)]
    StatusPage(share, StatusSettings(), Clock()).show(shown)
    page = (share.outbox / "status.html").read_text()
    expected = ("Nobody was found", "converted to AAC", "소리를 AAC로 변환", "parts of the audio", "그래픽 카드 대신")
    assert [words in page for words in expected] == [True] * len(expected)
    notes = page.partition('<details class="notes">')[2].partition("</details>")[0]
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in notes
    assert "<script" not in notes


@pytest.mark.parametrize(("audio", "tone"), [("copied", None), ("none", ""), ("lost", "warn"), (None, None)])
def test_missing_audio_is_shown_and_lost_audio_stands_out(audio: str | None, tone: str | None) -> None:
    plain = list(facts.statements({"people": 2}, "", SPEAKER))
    with_audio = list(facts.statements({"people": 2, "sound": audio}, "", SPEAKER))
    assert [tone for tone, _ in with_audio[len(plain) :]] == ([] if tone is None else [tone])


def test_any_name_can_be_shown(share: Share) -> None:
    raw = os.fsdecode(b"outbox/\xff\n\x1b.mp4")
    shown = status()
    shown.finished = [FinishedJob("k", valid_text(raw), valid_text(raw), link_to(raw), "succeeded", "", "now")]
    StatusPage(share, StatusSettings(), Clock()).show(shown)
    assert "%FF%0A%1B.mp4" in (share.outbox / "status.html").read_text()


def test_written_only_when_something_has_changed_and_not_too_often(share: Share) -> None:
    clock = Clock()
    page = StatusPage(share, StatusSettings(interval_s=3), clock)
    path = share.outbox / "status.json"

    def written(queued: int) -> bool:
        before = path.stat().st_mtime_ns if path.exists() else None
        shown = status()
        shown.queued = queued
        page.show(shown)
        return path.stat().st_mtime_ns != before

    assert written(1)
    clock.now = 1
    assert not written(2)
    clock.now = 4
    assert written(2)
    clock.now = 30
    assert not written(2)
    clock.now = 70
    assert written(2)  # a sign of life


def test_history_survives_a_restart(share: Share) -> None:
    shown = status()
    StatusPage(share, StatusSettings(), Clock()).show(shown)
    history = History(50)
    history.restore(HostFiles(share.hosts, share.jobs).read("h"))
    assert list(history.finished) == shown.finished
    assert list(history.failed) == shown.failed
    history = History(50)
    history.restore(HostFiles(share.hosts, share.jobs).read("another"))
    assert not history.finished


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": "other"}'])
def test_reading_what_is_not_there_or_not_ours(share: Share, content: str) -> None:
    assert read_status(share.root) is None
    (share.outbox / "status.json").write_text(content)
    assert read_status(share.root) is None
    (share.hosts / "h.json").write_text(content)
    assert HostFiles(share.hosts, share.jobs).read("h") is None


def test_statuses_of_other_versions_are_read_as_far_as_possible() -> None:
    row = {"job": "j", "file": "f", "reason": "r", "mood": "new here"}
    newer = {"schema": SCHEMA, "host": "h", "pid": 1, "waiting": [row], "weather": "fine"}
    assert ServiceStatus.from_json(json.dumps(newer).encode()).waiting == [WaitingJob("j", "f", "r")]
    for broken in ({"waiting": [{}]}, {"waiting": 3}, {"waiting": ["x"]}):
        with pytest.raises(ValueError, match="damaged"):
            ServiceStatus.from_json(json.dumps({**newer, **broken}).encode())


def of_host(name: str, state: str, *, at: str = "1", running: int = 0) -> ServiceStatus:
    rows = [RunningJob(f"{name}{n}", "x.mp4", "render", 1.0, 1.0, 1, "downscale", 1, name) for n in range(running)]
    finished = [FinishedJob(f"{name} done", "x.mp4", "outbox/x.mp4", "x.mp4", "succeeded", "", at, name)]
    level = "downscale" if running else "normal"
    return ServiceStatus(name, 1, state, queued=5, level=level, running=rows, finished=finished)


def test_a_file_that_no_host_may_read_waits_once(share: Share) -> None:
    """Unlike the jobs, which each have one host, all hosts see it."""
    hosts = []
    for name in "ab":
        waiting = [WaitingJob("", "inbox/x.mp4", "no", name, "CODE"), WaitingJob(name, "inbox/y.mp4", "no", name)]
        hosts.append(HostReport(ServiceStatus(name, 1, waiting=waiting), silent=False))
    rows = merged(hosts[0].status, hosts, listed=5).waiting
    assert sorted((row.job, row.file) for row in rows) == [
        ("", "inbox/x.mp4"),
        ("a", "inbox/y.mp4"),
        ("b", "inbox/y.mp4"),
    ]


def test_several_hosts_are_on_one_page(share: Share) -> None:
    for job in ("b0", "b1"):
        (share.jobs / job).mkdir()
        leases.write(share.jobs / job, Lease("b", 1, "boot"))
    clock = Clock()
    pages = {name: StatusPage(share, StatusSettings(), clock) for name in "ab"}
    pages["a"].show(of_host("a", "idle", at="2"))
    pages["b"].show(of_host("b", "working", at="1", running=2))
    clock.now = 5
    pages["a"].show(of_host("a", "idle", at="2"))  # nothing new of its own, but b has appeared
    page = read_status(share.root)
    assert page is not None
    assert (page["host"], page["state"], page["queued"], page["level"]) == ("a, b", "working", 5, "downscale")
    assert [job["host"] for job in page["running"]] == ["b", "b"]
    assert [job["job"] for job in page["finished"]] == ["a done", "b done"]
    assert [(host["host"], host["state"], host["running"]) for host in page["hosts"]] == [
        ("a", "idle", 0),
        ("b", "working", 2),
    ]
    html = (share.outbox / "status.html").read_text()
    assert [word in html for word in ("Machines", "작업 장비", "Softer frames", "덜 선명한 화면")] == [True] * 4

    os.utime(share.hosts / "b.json", (0, 0))
    clock.now = 10
    pages["a"].show(of_host("a", "idle", at="2"))
    page = read_status(share.root)
    assert page is not None
    assert (page["host"], page["state"], page["running"]) == ("a", "idle", [])
    assert [host["state"] for host in page["hosts"]] == ["idle", "silent"]
    assert len(page["finished"]) == 2, "what a silent host has finished is finished"


def test_the_last_service_to_stop_writes_stopped(share: Share) -> None:
    pages = {name: StatusPage(share, StatusSettings(), Clock()) for name in "ab"}
    for name in "ab":
        pages[name].show(of_host(name, "idle"))
    for name, state in (("a", "idle"), ("b", "stopped")):
        pages[name].show(of_host(name, "stopped"), at_once=True)
        page = read_status(share.root)
        assert page is not None
        assert page["state"] == state


def test_the_status_line_has_state_counts_and_level() -> None:
    shown = status()
    shown.reason = ""
    shown.running = [RunningJob("j", "inbox/x.mp4", "render", 41.5, 29.97, 75, "normal", 1)]
    assert shown.line() == "working; inbox/x.mp4 render 42 % 1:15 left; queue 3; level normal"
    shown.level = "downscale"
    shown.running = [replace(shown.running[0], level="downscale", level_reason="little memory is left")]
    shown.failed = [replace(shown.failed[0], at=utc_now()), shown.failed[0]]
    shown.notes = ["the configuration is wrong"]
    assert shown.line().endswith(
        "; level downscale (little memory is left); 1 failed in the last day; the configuration is wrong"
    )
