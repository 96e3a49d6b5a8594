"""Messages of the real service to a real server, and that no server can disturb it."""

from __future__ import annotations

import re
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.mailbox import Mailbox
from tests.support.scrape import Scrape, free_port
from tests.support.service import Service


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox().open() as mailbox:
        yield mailbox


def test_failures_and_the_share_lead_to_messages_and_summaries(
    make_service: Callable[..., Service], mailbox: Mailbox
) -> None:
    service = make_service(
        workers={"concurrent_jobs": 3}, notify={"urls": [mailbox.url], "throttle_s": 15}, leases={"host": "studio"}
    )
    service.start()
    for name in ("a", "b", "c"):
        service.inbox(f"{name}.mp4").write_bytes(b"no video at all")
    service.wait_for(lambda: len(service.events("job failed")) == 3, "the failures")
    named = re.compile(r"inbox/(\w)\.mp4")
    service.wait_for(lambda: set(named.findall(str(mailbox.messages))) == {"a", "b", "c"}, "all three names")
    first, *summaries = mailbox.messages
    assert re.fullmatch(r"dualface on studio: inbox/\w\.mp4 could not be done", first["title"])
    assert "Export it again" in first["message"]
    assert 1 <= len(summaries) <= 2
    title = re.compile(r"dualface on studio: \d more in 15 seconds: files that could not be done")
    for summary in summaries:
        assert title.fullmatch(summary["title"])
        assert "NOT_MEDIA" in summary["message"]

    service.root.rename(service.folder / "elsewhere")
    service.wait_for(lambda: any("share is away" in title for title in mailbox.titles), "the message")
    (service.folder / "elsewhere").rename(service.root)
    service.wait_for(lambda: any("share is back" in title for title in mailbox.titles), "the end of it")
    assert service.stop() == 0


def test_servers_that_hang_refuse_or_do_not_exist_disturb_nothing(
    make_service: Callable[..., Service], recording: Path
) -> None:
    with Mailbox(hangs=True).open() as silent, socket.socket() as refusing:
        refusing.bind(("127.0.0.1", 0))
        urls = [silent.url, f"json://127.0.0.1:{refusing.getsockname()[1]}", "nonsense://geheim@nowhere"]
        service = make_service(notify={"urls": urls, "timeout_s": 2})
        service.inbox("broken.mp4").write_bytes(b"no video at all")
        shutil.copy(recording, service.inbox("x.mp4"))
        service.start()
        service.wait_for(lambda: service.exists("originals/x.mp4"), "the delivery")
        service.wait_for(lambda: silent.attempts, "the attempt")
        service.wait_for(lambda: service.status()["state"] == "idle", "the end")
        begin = time.monotonic()
        assert service.stop() == 0
        assert time.monotonic() - begin < 20
    warnings = service.events("notification not sent")
    assert {line["url"] for line in warnings} >= {3}
    assert all(line["remedy"] and line["level"] == "warning" for line in warnings)
    assert "geheim" not in service.log_path.read_text()


def test_reduced_quality_leads_to_a_message_and_is_counted(
    make_service: Callable[..., Service], recording: Path, mailbox: Mailbox, trouble: Callable[..., None]
) -> None:
    trouble(encoders=[1, 2])
    port = free_port()
    service = make_service(
        notify={"urls": [mailbox.url]},
        metrics={"http": True, "port": port},
        degradation={"cool_down_s": 1.0, "cool_down_longest_s": 1.0},
    )
    shutil.copy(recording, service.inbox("x.mp4"))
    service.start()
    service.wait_for(lambda: Scrape(port)("dualface_degradation_level") >= 1, "the level")
    service.wait_for(lambda: service.exists("originals/x.mp4"), "the delivery")
    service.wait_for(lambda: Scrape(port)("dualface_jobs_total", status="succeeded_degraded") == 1, "its count")
    report = service.report("outbox/x.dual.report.json")
    assert Scrape(port)("dualface_dropped_frames_total") == report["resilience"]["dropped_frames"] > 0
    service.wait_for(lambda: Scrape(port)("dualface_degradation_level") == 0, "the end of it")
    service.wait_for(lambda: mailbox.messages, "the message")
    assert mailbox.titles[0].endswith("inbox/x.mp4 is done at reduced quality for now")
    assert "ran out of memory" in mailbox.messages[0]["message"]
