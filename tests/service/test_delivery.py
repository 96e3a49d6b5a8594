"""From the inbox to the outbox with the real service, workers and codecs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.support.recordings import packets
from tests.support.service import Service, outputs
from tests.support.synth import Audio, Clip


def test_files_are_delivered_and_reported_everywhere(service: Service, recording: Path) -> None:
    """Present at start, dropped later, in a subfolder, with awkward names, twice under one name."""
    shutil.copy(recording, service.inbox("present.mp4"))
    service.start()
    service.wait_for(lambda: service.files("originals") == {"present.mp4"}, "the file that was there")
    service.wait_for(lambda: service.status()["finished"], "the status page")

    strange = "인터뷰 <b> & 1\n.mov"
    shutil.copy(recording, service.inbox(f"a/b/{strange}"))
    service.wait_for(lambda: service.status()["running"], "a running job")
    shutil.copy(recording, service.inbox("present.mp4"))
    service.wait_for(lambda: len(service.files("originals")) == 3, "all three")
    assert service.stop() == 0

    assert service.files("outbox") == {
        *outputs("present"),
        *outputs("present", 2),
        *outputs("a/b/인터뷰 <b> & 1\n"),
    }
    assert service.files("originals") == {"present.mp4", "present-2.mp4", f"a/b/{strange}"}
    assert (service.root / "originals" / "present.mp4").read_bytes() == recording.read_bytes()
    assert service.files("inbox") == service.files("failed") == set()
    assert service.jobs() == []
    assert packets(service.root / "outbox/present.dual.mp4") == packets(service.root / "outbox/present.dual-2.mp4")
    _check_report(service)
    _check_status(service)
    _check_systemd(service)
    _check_journal(service)


def _check_report(service: Service) -> None:
    report = service.report("outbox/present.dual-2.report.json")
    assert report["status"] == "succeeded"
    assert report["output"]["path"] == "outbox/present.dual-2.mp4"
    assert report["output"]["bytes"] == (service.root / report["output"]["path"]).stat().st_size
    assert report["input"]["path"] == "inbox/present.mp4"
    assert report["resilience"]["attempts"] == 1
    assert report["error"] is None


def _check_status(service: Service) -> None:
    status = service.status()
    assert (status["state"], status["running"], status["failed"]) == ("stopped", [], [])
    assert [job["output"] for job in status["finished"]][-1] == "outbox/present.dual.mp4"
    page = service.page()
    assert "&lt;b&gt;" in page
    assert "인터뷰 <b>" not in page


def _check_systemd(service: Service) -> None:
    messages = service.notifications()
    assert messages.index("READY=1") < messages.index("STOPPING=1")
    assert "WATCHDOG=1" in messages
    lines = [line for line in messages if line.startswith("STATUS=")]
    assert any("working; inbox/" in line and "queue" in line and "level normal" in line for line in lines)


def _check_journal(service: Service) -> None:
    for event in ("job claimed", "job queued", "job started", "job delivered"):
        lines = service.events(event)
        assert len(lines) == 3, event
        assert all(line["level"] == "info" and line["job"] and line["file"] and line["stage"] for line in lines)
    assert len(service.journal()) < 40, "no line for each frame"


def test_missing_content_is_shown_on_the_page_and_in_the_journal(service: Service) -> None:
    Clip(frames=48, audio=[Audio(length_s=0.3)]).write(service.folder / "short.mp4")
    service.start()
    (service.folder / "short.mp4").replace(service.inbox("short.mp4"))
    service.wait_for(lambda: service.exists("originals/short.mp4"), "the delivery")
    service.wait_for(lambda: service.status().get("finished"), "its line")
    (finished,) = service.status()["finished"]
    (warning,) = service.report("outbox/short.dual.report.json")["warnings"]
    assert finished["status"] == "succeeded"
    assert finished["facts"]["warnings"] == [warning]
    service.wait_for(lambda: warning["message"] in service.page(), "the message")
    assert warning["message_ko"] in service.page()
    (line,) = service.events("the result lacks something")
    logged = {key: line[key] for key in ("level", "code", "stream", "from_s", "to_s", "reason")}
    assert logged == {
        "level": "warning", "code": "AUDIO_ENDS_EARLY", "stream": 1, "from_s": warning["from_s"],
        "to_s": warning["to_s"], "reason": warning["message"],
    }  # fmt: skip


def test_pause_file_holds_new_work(service: Service, recording: Path) -> None:
    (service.root / "PAUSE").write_text("moving house")
    service.start()
    shutil.copy(recording, service.inbox("x.mp4"))
    service.wait_for(lambda: service.status().get("queued") == 1, "the queued file")
    assert service.status()["state"] == "paused"
    assert service.status()["reason"] == "moving house"
    assert service.exists("inbox/x.mp4")
    (service.root / "PAUSE").unlink()
    service.wait_for(lambda: service.exists("originals/x.mp4"), "the delivery after the pause")


def test_a_file_that_is_still_being_written_is_waited_for(service: Service, recording: Path) -> None:
    """Copied in two halves with the writer asleep in between, longer than the settle time."""
    service.start()
    content = recording.read_bytes()
    with service.inbox("x.mp4").open("wb", buffering=0) as writer:
        writer.write(content[: len(content) // 2])
        service.wait_for(lambda: service.status().get("waiting"), "the claim that finds a writer")
        assert service.events("job started") == []
        writer.write(content[len(content) // 2 :])
    service.wait_for(lambda: service.exists("originals/x.mp4"), "the delivery")
    assert service.files("outbox") == outputs("x")


def test_a_rename_from_a_partial_name_is_found(service: Service, recording: Path) -> None:
    service.start()
    shutil.copy(recording, service.inbox("x.mp4.part"))
    service.inbox("x.mp4.part").rename(service.inbox("x.mp4"))
    service.wait_for(lambda: service.exists("originals/x.mp4"), "the delivery")


def test_jobs_run_side_by_side(make_service: Callable[..., Service], recording: Path) -> None:
    service = make_service(workers={"concurrent_jobs": 2})
    for name in ("x.mp4", "y.mp4"):
        shutil.copy(recording, service.inbox(name))
    service.start()
    service.wait_for(lambda: len(service.status()["running"]) == 2, "two at a time")
    service.wait_for(lambda: len(service.files("originals")) == 2, "both")
    assert service.files("outbox") == outputs("x") | outputs("y")


def test_work_waits_until_the_outbox_can_take_it(service: Service, recording: Path) -> None:
    """Something that is no folder lies where the outbox mirrors a subfolder: nothing is lost, the reason is shown."""
    shutil.copy(recording, service.inbox("a/x.mp4"))
    service.start()
    (service.root / "outbox" / "a").write_text("in the way")
    service.wait_for(lambda: any(job["code"] for job in service.status().get("waiting", [])), "the reason")
    assert service.jobs()
    (service.root / "outbox" / "a").unlink()
    service.wait_for(lambda: service.exists("originals/a/x.mp4"), "the delivery")
    assert service.files("outbox") == outputs("a/x")


def test_an_awkward_byte_in_a_name(service: Service, recording: Path) -> None:
    raw = os.fsdecode(b"caf\xe9 ") + "n" * 240 + ".mp4"
    shutil.copy(recording, service.inbox(raw))
    service.start()
    service.wait_for(lambda: service.exists(f"originals/{raw}"), "the delivery")
    made = service.files("outbox")
    assert len(made) == 4
    assert all(name.startswith("caf\udce9 nnn") and "~" in name for name in made)
