"""Missing content of a result is shown wherever people look, in their language, and only then."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from daemon.cli.process import view
from daemon.cli.process.items import Item
from daemon.cli.status_view import _finished
from daemon.config.settings import Settings
from daemon.jobs.job import Job
from daemon.jobs.manifest import Manifest
from daemon.observability.alerts import AlertKind, AlertRules
from daemon.observability.collector import MetricsCollector
from daemon.observability.events import Delivered
from daemon.pages.i18n import Translator
from daemon.pages.report_page import page_of as report_page_of
from daemon.pages.warnings_text import warnings_in
from daemon.status.model import FinishedJob, ServiceStatus
from daemon.status.page import page_of
from daemon.worker.protocol import Finished, decode, encode
from engines.media_warnings import media_warning
from tests.support.metrics import samples
from tests.support.reports import finished_job

GAP = media_warning("AUDIO_GAP", stream=1, from_s=60, to_s=75).to_json()
HOSTILE = GAP | {"message": "<script>alert(1)</script>\u202e", "message_ko": "<b>x</b>"}
FACTS = {"people": 2, "warnings": [GAP]}


def status(**facts: Any) -> ServiceStatus:
    done = FinishedJob("k", "inbox/a.mp4", "outbox/a.dual.mp4", "a.dual.mp4", "succeeded", "fine", "now", facts=facts)
    return ServiceStatus("here", 1, finished=[done])


def delivered(facts: dict[str, Any]) -> Delivered:
    manifest = Manifest("1", "inbox", "a.mp4", "default", result={"status": "succeeded", "facts": facts})
    return Delivered(Job(Path("/nowhere"), manifest), "outbox/a.dual.mp4")


def test_the_status_page_says_done_but_in_both_languages() -> None:
    page = page_of(status(**FACTS), Translator(("en", "ko"))).decode()
    assert "Done, but:" in page
    assert "확인이 필요합니다" in page
    assert GAP["message"] in page
    assert GAP["message_ko"] in page
    assert "Done, but:" not in page_of(status(people=2, warnings=[]), Translator(("en",))).decode()
    assert GAP["message"] not in page_of(status(**FACTS), Translator(("ko",))).decode()


def test_a_long_list_is_cut_on_the_status_page() -> None:
    page = page_of(status(people=2, warnings=[GAP] * 9), Translator(("en",))).decode()
    assert page.count(GAP["message"]) == 5
    assert "and 4 more" in page


def test_messages_of_a_worker_are_escaped() -> None:
    page = page_of(status(people=2, warnings=[HOSTILE]), Translator(("en", "ko"))).decode()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\u202e" in page
    assert "<script>alert" not in page


@pytest.mark.parametrize("value", [None, "x", 5, [1, "x", {}, {"code": "A"}, GAP | {"message": 3}], {"code": "A"}])
def test_malformed_warnings_are_left_out(value: Any) -> None:
    assert warnings_in({"warnings": value}) == []


def test_the_report_page_tells_all(tmp_path: Path) -> None:
    result = finished_job(tmp_path)
    page = report_page_of(replace(result, facts=result.facts | {"warnings": [GAP] * 9}), Translator(("en", "ko")))
    assert page.decode().count(GAP["message"]) == 9
    assert "Done, but:" not in report_page_of(result, Translator(("en",))).decode()


def test_warnings_travel_from_the_worker_to_the_service(tmp_path: Path) -> None:
    result = finished_job(tmp_path)
    finished = Finished.of(replace(result, facts={"warnings": [GAP]}))
    received = decode(encode(finished))
    assert isinstance(received, Finished)
    assert warnings_in(received.facts) == [GAP]


def test_one_message_is_sent_for_an_incomplete_file() -> None:
    (alert,) = AlertRules("here").alerts(delivered({"warnings": [GAP] * 7}))
    assert alert.kind is AlertKind.INCOMPLETE
    assert GAP["message"] in alert.text
    assert "and 2 more" in alert.text
    assert "AUDIO_GAP" in alert.brief
    assert list(AlertRules("here").alerts(delivered({"people": 2}))) == []


def test_the_metric_counts_by_code() -> None:
    recorder = MetricsCollector(Settings())
    for _ in range(2):
        recorder(delivered(FACTS))
    assert samples(recorder.metrics)["dualface_warnings_total", ("AUDIO_GAP",)] == 2


def test_the_commands_tell_them() -> None:
    item = Item(Path("a.mp4"), "1", None, video=Path("a.dual.mp4"), verdict="Fine.", warnings=[GAP])  # type: ignore[arg-type]
    assert f"but: {GAP['message']}" in view._outcome(item)
    shown = Console(width=300, record=True, file=StringIO())
    for part in _finished(status(**FACTS)):
        shown.print(part)
    assert GAP["message"] in shown.export_text()
