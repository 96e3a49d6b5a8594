"""Recordings that a camera has cut into parts, through the real service: one job where they belong together."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.chapters import cut
from tests.scenes import packets, write_recording
from tests.service.running import Service, outputs

PART_S = 2
NAMES = ("GX010123.MP4", "GX020123.MP4", "GX030123.MP4")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recording(tmp_path_factory.mktemp("whole") / "whole.mp4", seconds=6, fps=10, size=(320, 180))


@pytest.fixture(scope="module")
def parts(whole: Path) -> list[Path]:
    paths = [whole.with_name(name) for name in NAMES]
    cut(whole, paths, PART_S)
    return paths


def times(path: Path) -> list[int]:
    return [pts for pts, _, _ in packets(path)]


def drop(service: Service, files: list[Path], folder: str = "card") -> None:
    for path in files:
        shutil.copy(path, service.inbox(f"{folder}/{path.name}"))


def test_parts_that_come_one_by_one_become_one_job_through_a_kill(service: Service, parts: list[Path]) -> None:
    service.start()
    drop(service, parts[:1])
    waiting = "inbox/card/GX010123.MP4"
    service.wait_for(lambda: waiting in {job["file"] for job in service.status().get("waiting", [])}, "the wait")
    drop(service, parts[1:])
    service.wait_for(lambda: len(service.segments()) >= 2, "some segments")
    service.kill()
    service.start()
    service.wait_for(lambda: service.files("originals") == {f"card/{name}" for name in NAMES}, "the delivery")
    assert service.files("outbox") == outputs("card/GX010123")
    report = service.report("outbox/card/GX010123.dual.report.json")
    assert report["input"]["parts"] == [f"inbox/card/{name}" for name in NAMES]
    assert report["resilience"]["resumed_at_s"]
    assert report["output"]["frames"] == 60
    for path in parts:
        assert (service.root / "originals/card" / path.name).read_bytes() == path.read_bytes()
    service.wait_for(lambda: service.jobs() == [], "the end of the job")
    assert {len(line.get("file", "")) > 0 for line in service.events("parts compared")} == {True}


def test_files_whose_time_stamps_do_not_follow_are_done_one_by_one(service: Service, whole: Path, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("00000.MP4", *NAMES[:2])]
    cut(whole, files, PART_S, gap_s=60)
    drop(service, files[1:])
    service.start()
    service.wait_for(lambda: len(service.files("originals")) == 2, "both")
    assert service.files("outbox") == outputs("card/GX010123") | outputs("card/GX020123")
    assert [line["follows"] for line in service.events("parts compared")] == [False]


def test_join_never_and_a_sidecar_of_its_own_keep_a_part_apart(make_service, parts: list[Path]) -> None:
    service = make_service(profiles={"apart": {"preset": "ultrafast", "join": "never"}}, inboxes=[
        {"path": "inbox"}, {"path": "apart", "profile": "apart"},
    ])  # fmt: skip
    drop(service, parts)
    service.inbox("card/GX030123.dualface.yaml").write_text("swap: true\n")
    for path in parts[:2]:
        shutil.copy(path, service.inbox(f"../apart/{path.name}"))
    service.start()
    service.wait_for(lambda: len(service.files("originals")) == 6, "all of them")
    assert service.files("outbox") == (
        outputs("card/GX010123") | outputs("card/GX030123") | outputs("GX010123") | outputs("GX020123")
    )
    assert service.report("outbox/card/GX010123.dual.report.json")["output"]["frames"] == 40


def test_a_failed_recording_keeps_its_parts_and_is_tried_again_with_them(make_service, parts: list[Path]) -> None:
    service = make_service(limits={"duration_s": 1})
    drop(service, parts[:2])
    service.start()
    kept = {f"card/{name}" for name in (*NAMES[:2], "GX010123.report.json")}
    service.wait_for(lambda: service.files("failed") == kept, "the failure")
    error = service.report("failed/card/GX010123.report.json")
    assert error["input"]["parts"] == [f"inbox/card/{name}" for name in NAMES[:2]]
    assert service.stop() == 0
    assert service.run_command("retry", "GX010123").returncode == 0
    assert service.files("failed") == set()
    assert service.files("inbox") == {f"card/{name}" for name in NAMES[:2]}
