"""Everything that an editor can do with nothing but the folder: pause, cancel, choose a profile, try again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from tests.support.service import Service, outputs


def queue(service: Service) -> list[str]:
    return [file["file"] for file in service.status().get("queue", [])]


def test_pausing_from_windows_and_cancelling_by_deleting(service: Service, recording: Path) -> None:
    pause = service.root / "Pause.txt"
    pause.write_bytes("점검 중입니다. <b>15시</b>까지\r\n".encode("utf-16"))
    service.start()
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        shutil.copy(recording, service.inbox(name))
    service.wait_for(lambda: len(queue(service)) == 3, "the queue with its names")
    status = service.status()
    assert (status["state"], status["reason"]) == ("paused", "점검 중입니다. <b>15시</b>까지")
    service.wait_for(lambda: "점검 중입니다. &lt;b&gt;15시&lt;/b&gt;까지" in service.page(), "the reason on the page")
    cancelled, running, late = queue(service)
    (service.root / cancelled).unlink()
    service.wait_for(lambda: queue(service) == [running, late], "the queue without the deleted file")
    pause.unlink()
    service.wait_for(lambda: service.status()["running"], "work")
    assert service.status()["running"][0]["file"] == running
    assert not service.exists(running), "a file in work cannot be deleted by accident"
    (service.root / late).unlink()
    service.wait_for(lambda: service.files("originals") == {Path(running).name}, "the delivery")
    service.wait_for(lambda: service.status()["state"] == "idle", "nothing left to do")
    assert service.files("outbox") == outputs(Path(running).stem)
    assert service.files("failed") == set()
    assert len(service.events("job claimed")) == 1


def test_another_profile_a_failure_and_a_second_try(make_service: Callable[..., Service], recording: Path) -> None:
    inboxes = [{"path": "inbox", "profile": "default"}, {"path": "inbox small", "profile": "small"}]
    profiles = {"small": {"preset": "ultrafast", "crf": 45}}
    service = make_service(profiles=profiles, inboxes=inboxes, reports={"html": True})
    service.start()
    (service.root / "inbox small" / "Mon").mkdir()
    (service.root / "inbox small" / "Mon" / "x.dualface.yaml").write_text("swop: true\n")
    shutil.copy(recording, service.root / "inbox small" / "Mon" / "x.mp4")
    service.wait_for(lambda: service.status().get("failed"), "the failure on the page")
    failed = service.root / "failed" / "Mon"
    assert service.files("failed") == {"Mon/x.mp4", "Mon/x.dualface.yaml", "Mon/x.report.json"}
    row = service.status()["failed"][0]
    assert (row["code"], row["link"]) == ("SIDECAR_INVALID", "../failed/Mon/x.report.json")
    service.wait_for(lambda: "보정 파일에 잘못된 내용이 있습니다" in service.page(), "the failure in Korean")
    assert "A mistake in the corrections file" in service.page()

    (failed / "x.dualface.yaml").write_text("swap: true\n")
    (failed / "x.dualface.yaml").rename(service.root / "inbox small" / "Mon" / "x.dualface.yaml")
    (failed / "x.mp4").rename(service.root / "inbox small" / "Mon" / "x.mp4")
    service.wait_for(lambda: service.exists("originals/Mon/x.mp4"), "the second try")
    assert service.files("outbox") == outputs("Mon/x") | {"Mon/x.dual.report.html"}
    assert "화면의 출처" in (service.root / "outbox" / "Mon" / "x.dual.report.html").read_text()
    report = service.report("outbox/Mon/x.dual.report.json")
    assert (report["profile"], report["resilience"]["attempts"]) == ("small", 1)
    service.wait_for(lambda: service.files("failed") == set(), "the end of the first report")
    service.wait_for(lambda: not service.status()["failed"], "the page without the failure")
    service.wait_for(lambda: service.status()["finished"], "the page with the result")
    done = service.status()["finished"][0]
    assert done["links"] == {
        "tracks": "Mon/x.dual.tracks.jsonl.gz",
        "preview": "Mon/x.dual.preview.jpg",
        "html": "Mon/x.dual.report.html",
        "report": "Mon/x.dual.report.json",
    }
    assert done["facts"]["people"] == 2
