"""Reports in ``failed`` are removed after their files, and nothing else is removed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from daemon.errors import DaemonError, SourceGoneError
from daemon.jobs.delivery import Delivery
from daemon.service.failed_folder import FailedFolder
from daemon.share.naming import valid_text
from daemon.share.share import Share
from daemon.status.model import FailedJob, History
from pipeline.report.model import SCHEMA
from tests.support.share import claimed, make_share


def report_of(error: DaemonError) -> dict[str, Any]:
    return {"schema": SCHEMA, "status": "failed", "error": {"code": error.code}}


class Failures:
    """A share with failed files, and the object that removes their reports."""

    def __init__(self, root: Path) -> None:
        self.now = 0.0
        self.share: Share = make_share(root)
        self.history = History(50)
        self.folder = FailedFolder(root, self.share.failed, self.history, interval_s=10, clock=lambda: self.now)

    def fail(self, relative: str, error: DaemonError | None = None) -> None:
        job = claimed(self.share, relative)
        report = Delivery(self.share).fail(job, lambda: report_of(error or DaemonError("broken")))
        job.remove()
        self.history.failed.append(FailedJob(job.id, relative, "X", "", "", "", report=valid_text(report)))

    def look(self, times: int = 2) -> set[str]:
        for _ in range(times):
            self.now += 10
            self.folder.advance()
        return {str(path.relative_to(self.share.failed)) for path in self.share.failed.rglob("*") if path.is_file()}


@pytest.fixture
def failures(tmp_path: Path) -> Failures:
    return Failures(tmp_path)


@pytest.mark.parametrize("name", ["x.mp4", "a/b/x.y.mp4", "n" * 250 + ".mp4", "\udcff \n.mp4"])
def test_a_report_stays_as_long_as_its_file(failures: Failures, name: str) -> None:
    for _ in range(2):  # the second gets a number
        failures.fail(name)
    before = failures.look()
    assert len(before) == 4
    sources = sorted(path for path in before if not path.endswith(".json"))
    (failures.share.failed / sources[0]).rename(failures.share.inboxes[0] / "again.mp4")
    after = failures.look()
    assert len(after) == 2 and sources[1] in after
    assert len(failures.history.failed) == 1
    (failures.share.failed / sources[1]).unlink()
    assert failures.look() == set()
    assert not failures.history.failed


def test_a_report_is_removed_at_the_second_scan_and_scans_are_rare(failures: Failures) -> None:
    failures.fail("x.mp4")
    (failures.share.failed / "x.mp4").unlink()
    assert failures.look(1) == {"x.report.json"}
    failures.now += 5
    failures.folder.advance()
    assert (failures.share.failed / "x.report.json").exists()
    assert failures.look(1) == set()


def test_a_file_that_is_back_in_time_keeps_its_report(failures: Failures) -> None:
    failures.fail("x.mp4")
    failures.share.failed.joinpath("x.mp4").rename(failures.share.root / "x.mp4")
    failures.look(1)
    (failures.share.root / "x.mp4").rename(failures.share.failed / "x.mp4")
    assert failures.look() == {"x.mp4", "x.report.json"}


def test_the_report_of_a_lost_file_stays(failures: Failures) -> None:
    failures.fail("x.mp4", SourceGoneError("gone"))
    (failures.share.failed / "x.mp4").unlink()
    assert failures.look(3) == {"x.report.json"}


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"{}", json.dumps({"schema": SCHEMA, "status": "succeeded", "error": None}).encode()],
)
def test_files_that_the_service_has_not_written_stay(failures: Failures, content: bytes) -> None:
    failures.share.failed.joinpath("mine.report.json").write_bytes(content)
    failures.share.failed.joinpath("mine.dualface.yaml").write_bytes(content)
    assert failures.look(3) == {"mine.report.json", "mine.dualface.yaml"}


def test_older_history_without_the_report_s_path_stays(failures: Failures) -> None:
    failures.history.failed.append(FailedJob("j", "x.mp4", "X", "", "", ""))
    failures.look()
    assert len(failures.history.failed) == 1
