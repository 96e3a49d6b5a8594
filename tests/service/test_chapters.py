"""Recordings that a camera has cut into parts, through the real service: one job where they belong together."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.chapters import cut
from tests.support.recordings import write_recording
from tests.support.service import Service, outputs

PART_S = 1
NAMES = ("GX010123.MP4", "GX020123.MP4", "GX030123.MP4")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recording(tmp_path_factory.mktemp("whole") / "whole.mp4", seconds=3, fps=10, size=(160, 90))


@pytest.fixture(scope="module")
def parts(whole: Path) -> list[Path]:
    paths = [whole.with_name(name) for name in NAMES]
    cut(whole, paths, PART_S)
    return paths


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
    assert report["output"]["frames"] == 30
    for path in parts:
        assert (service.root / "originals/card" / path.name).read_bytes() == path.read_bytes()
    service.wait_for(lambda: service.jobs() == [], "the end of the job")


def test_files_that_do_not_follow_each_other_or_are_not_to_be_joined_are_done_one_by_one(
    make_service, whole: Path, parts: list[Path], tmp_path: Path
) -> None:
    """Two whose time stamps do not follow, and two of a profile that never joins."""
    inboxes = [{"path": "inbox"}, {"path": "apart", "profile": "apart"}]
    service = make_service(profiles={"apart": {"preset": "ultrafast", "join": "never"}}, inboxes=inboxes)
    takes = [tmp_path / name for name in NAMES[:2]]
    cut(whole, takes, PART_S, gap_s=60)
    drop(service, takes, "takes")
    drop(service, parts[:2], "../apart")
    service.start()
    service.wait_for(lambda: len(service.files("originals")) == 4, "all of them")
    stems = ("GX010123", "GX020123")
    assert service.files("outbox") == set().union(
        *(outputs(f"{folder}{stem}") for folder in ("takes/", "") for stem in stems)
    )
    assert sorted(line["follows"] for line in service.events("parts compared")) == [False]
