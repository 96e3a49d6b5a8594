"""Corrections dropped with a recording: applied, delivered along, or refused with the number of the line."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.recordings import packets
from tests.support.service import Service, outputs


def tracks(service: Service, stem: str) -> list[dict[str, Any]]:
    with gzip.open(service.root / "outbox" / f"{stem}.tracks.jsonl.gz") as lines:
        return [json.loads(line) for line in lines]


def people(row: dict[str, Any]) -> tuple[int, int]:
    return row["left"]["person"], row["right"]["person"]


def test_sidecars_are_claimed_applied_and_kept_with_the_source(
    make_service: Callable[..., Service], recording: Path
) -> None:
    """First the recording, first the sidecar, another profile, a sidecar without a recording."""
    service = make_service(profiles={"tiny": {"preset": "ultrafast", "crf": 45}}, settle={"local_s": 3})
    service.start()
    shutil.copy(recording, service.inbox("plain.mp4"))
    shutil.copy(recording, service.inbox("a/early.mp4"))
    service.inbox("a/early.dualface.yaml").write_text("swap: true\n")
    service.inbox("late.dualface.yaml").write_text("swap_spans: [{from: 2, to: 4}]\nprofile: tiny\n")
    service.inbox("alone.dualface.yaml").write_text("swap: true\n")
    shutil.copy(recording, service.inbox("late.mp4"))
    service.wait_for(lambda: len(service.files("originals")) == 5, "three recordings and two sidecars")
    assert service.files("originals") == {
        "plain.mp4",
        "a/early.mp4",
        "a/early.dualface.yaml",
        "late.mp4",
        "late.dualface.yaml",
    }
    assert service.files("outbox") == outputs("plain") | outputs("a/early") | outputs("late")
    assert service.files("inbox") == {"alone.dualface.yaml"}
    assert service.events("left alone") == []

    plain, early, late = (tracks(service, f"{stem}.dual") for stem in ("plain", "a/early", "late"))
    assert [people(row) for row in early] == [people(row)[::-1] for row in plain]
    assert [people(row) == people(same) for row, same in zip(late, plain, strict=True)] == [
        not 2 <= row["t"] < 4 for row in plain
    ]
    sizes = {stem: (service.root / "outbox" / f"{stem}.dual.mp4").stat().st_size for stem in ("plain", "late")}
    assert sizes["late"] < sizes["plain"]


def test_a_mistake_in_a_sidecar_is_explained(service: Service, recording: Path) -> None:
    shutil.copy(recording, service.inbox("x.mp4"))
    service.inbox("x.dualface.yaml").write_text("swap: true\nprofile: golden\n")
    service.start()
    service.wait_for(lambda: service.exists("failed/x.report.json"), "the report")
    error = service.report("failed/x.report.json")["error"]
    assert error["code"] == "SIDECAR_INVALID"
    assert "line 2" in error["message"]
    assert service.files("failed") == {"x.mp4", "x.dualface.yaml", "x.report.json"}
    assert (service.root / "failed/x.mp4").read_bytes() == recording.read_bytes()
    service.wait_for(lambda: service.jobs() == [], "the end of the job")

    service.inbox("x.dualface.yaml").write_text("swap: true\n")
    (service.root / "failed/x.mp4").rename(service.inbox("x.mp4"))
    service.wait_for(lambda: service.exists("originals/x.dualface.yaml"), "the second try")


def test_a_correction_of_a_finished_recording_renders_only_what_changes(service: Service, recording: Path) -> None:
    """Dropped again with a sidecar, then without: six segments, of which a sidecar changes two."""
    service.start()
    shutil.copy(recording, service.inbox("x.mp4"))
    service.wait_for(lambda: service.exists("originals/x.mp4"), "the first delivery")
    service.wait_for(lambda: service.jobs() == [], "the end of the first job")

    service.inbox("renamed.dualface.yaml").write_text("swap_spans: [{from: 2, to: 4}]\n")
    (service.root / "originals/x.mp4").rename(service.inbox("renamed.mp4"))
    service.wait_for(lambda: service.exists("originals/renamed.dualface.yaml"), "the corrected delivery")
    assert [(line["renewed"], line["kept"]) for line in service.events("segments corrected")] == [(2, 4)]
    before, after = tracks(service, "x.dual"), tracks(service, "renamed.dual")
    assert [people(row) != people(same) for row, same in zip(after, before, strict=True)] == [
        2 <= row["t"] < 4 for row in before
    ]
    service.wait_for(lambda: service.jobs() == [], "the end of the second job")

    (service.root / "originals/renamed.mp4").rename(service.inbox("again.mp4"))
    service.wait_for(lambda: service.exists("originals/again.mp4"), "the delivery without a sidecar")
    assert packets(service.root / "outbox/again.dual.mp4") == packets(service.root / "outbox/x.dual.mp4")
    assert [(line["renewed"], line["kept"]) for line in service.events("segments corrected")] == [(2, 4)] * 2
    assert len(service.events("job builds on an earlier one")) == 2


def test_a_changed_profile_starts_over(make_service: Callable[..., Service], recording: Path) -> None:
    service = make_service(profiles={"tiny": {"preset": "ultrafast", "crf": 45}})
    service.start()
    for stem in ("x", "y"):
        if stem == "y":
            service.inbox("y.dualface.yaml").write_text("profile: tiny\n")
        shutil.copy(recording, service.inbox(f"{stem}.mp4"))
        service.wait_for(lambda stem=stem: service.exists(f"originals/{stem}.mp4"), f"the delivery of {stem}")
        service.wait_for(lambda: service.jobs() == [], "the end of the job")
    assert len(service.events("job starts over")) == 1
    x, y = (service.root / "outbox" / f"{stem}.dual.mp4" for stem in ("x", "y"))
    assert y.stat().st_size < x.stat().st_size


def test_without_retention_no_segments_are_cached(make_service: Callable[..., Service], recording: Path) -> None:
    service = make_service(retention={"state_days": 0})
    service.start()
    for stem in ("x", "y"):
        shutil.copy(recording, service.inbox(f"{stem}.mp4"))
        service.wait_for(lambda stem=stem: service.exists(f"originals/{stem}.mp4"), f"the delivery of {stem}")
    service.wait_for(lambda: service.jobs() == [], "the end of the jobs")
    assert list((service.root / ".dualface/finished").iterdir()) == []
    assert service.report("outbox/y.dual.report.json")["resilience"]["resumed_at_s"] == []
