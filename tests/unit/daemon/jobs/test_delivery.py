"""Delivery: one number for all files, nothing overwritten, and a crash between any two steps costs nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from daemon.cli.requeue import failed_files
from daemon.errors import InvalidOutputError
from daemon.jobs import delivery as delivery_module
from daemon.jobs.delivery import Delivery
from daemon.jobs.job import Job, load_job
from daemon.jobs.manifest import JobState
from daemon.service.failed_folder import _reports as reports_in
from daemon.share import rename as moves
from daemon.share.share import Share
from pipeline.errors import DiskFullError, StorageError
from tests.support.share import claimed, drop, fill, finished, make_share, small_disk, tree

OUTPUTS = {"x.dual.mp4", "x.dual.tracks.jsonl.gz", "x.dual.preview.jpg", "x.dual.report.json"}
ERROR = {"schema": "dualface.report/1", "error": {"code": "EMPTY_FILE"}}


class Crash(BaseException):
    """Stands for the end of the process."""


@pytest.fixture
def share(tmp_path: Path) -> Share:
    return make_share(tmp_path)


def test_all_files_arrive_under_their_names(share: Share) -> None:
    job = finished(share, "a/b/x.mov")
    assert Delivery(share).deliver(job) == "outbox/a/b/x.dual.mp4"
    assert tree(share.outbox) == {f"a/b/{name}" for name in OUTPUTS}
    assert tree(share.originals) == {"a/b/x.mov"}
    report = json.loads((share.outbox / "a/b/x.dual.report.json").read_text())
    assert report["output"]["path"] == "outbox/a/b/x.dual.mp4"
    assert report["resilience"]["attempts"] == 2
    assert load_job(job.folder).manifest.state is JobState.DONE
    job.remove()
    assert not job.folder.exists()


def test_the_page_that_was_asked_for_comes_before_the_report(share: Share) -> None:
    job = finished(share, "x.mov")
    (job.folder / "page.html").write_text("a page")
    assert job.manifest.result is not None
    job.manifest.result["files"]["html"] = "page.html"
    (share.outbox / "x.dual.report.html").write_text("somebody's")
    Delivery(share).deliver(job)
    assert [Path(move.target).name for move in job.manifest.publish][-2:] == [
        "x.dual-2.report.html",
        "x.dual-2.report.json",
    ]
    assert (share.outbox / "x.dual-2.report.html").read_text() == "a page"


def test_one_number_for_all_files(share: Share) -> None:
    (share.outbox / "x.dual.preview.jpg").write_text("somebody's")
    (share.originals / "x.mov").write_text("an earlier one")
    Delivery(share).deliver(finished(share, "x.mov"))
    Delivery(share).deliver(finished(share, "x.mov"))
    second = {name.replace(".dual", ".dual-2") for name in OUTPUTS}
    third = {name.replace(".dual", ".dual-3") for name in OUTPUTS}
    assert tree(share.outbox) == {"x.dual.preview.jpg", *second, *third}
    assert (share.outbox / "x.dual.preview.jpg").read_text() == "somebody's"
    assert tree(share.originals) == {"x.mov", "x-2.mov", "x-3.mov"}


def test_a_sidecar_stays_with_its_source(share: Share) -> None:
    (share.originals / "x.dualface.yaml").write_text("an earlier one")
    (share.failed / "x.mov").write_text("an earlier one")
    for _ in range(2):
        drop(share, "x.dualface.yaml", b"")
        Delivery(share).deliver(finished(share, "x.mov"))
    drop(share, "x.dualface.yaml", b"swap: maybe")
    assert Delivery(share).fail(claimed(share, "x.mov"), lambda: ERROR) == "failed/x-2.report.json"
    assert tree(share.originals) == {
        "x.dualface.yaml",
        "x-2.mov",
        "x-2.dualface.yaml",
        "x-3.mov",
        "x-3.dualface.yaml",
    }
    assert tree(share.failed) == {"x.mov", "x-2.mov", "x-2.dualface.yaml", "x-2.report.json"}


@pytest.mark.parametrize(
    "name",
    [
        "new\nline.mp4",
        "인터뷰 & <b>.mp4",
        os.fsdecode(b"\xff\xfe.mp4"),
        "n" * 251 + ".mp4",
        "\x1b[2J.mp4",
        "x..mp4",
    ],
)
def test_awkward_names(share: Share, name: str) -> None:
    Delivery(share).deliver(finished(share, name))
    Delivery(share).deliver(finished(share, name))
    assert len(tree(share.outbox)) == 8
    assert len(tree(share.originals)) == 2


def test_names_are_as_short_as_the_file_system_wants_them(share: Share, monkeypatch: pytest.MonkeyPatch) -> None:
    """eCryptfs allows 143 bytes, and its sources have as many."""
    monkeypatch.setattr(os, "pathconf", lambda *_: 143)
    name = "x" * 139 + ".mp4"
    Delivery(share).deliver(finished(share, name))
    Delivery(share).deliver(finished(share, name))
    failure = {"input": {"path": f"inbox/{name}"}, "error": {"message": "no"}}
    report = Delivery(share).fail(claimed(share, name), lambda: failure)
    made = [name for folder in (share.outbox, share.originals, share.failed) for name in tree(folder)]
    assert len(made) == 4 * 2 + 2 + 2
    assert max(map(len, made)) == 143
    assert [(file.relative, file.report) for file in failed_files(share)] == [(Path(name), share.root / report)]
    assert list(reports_in(share.failed)) == [(share.root / report, True)]


def test_a_name_that_is_taken_at_the_last_moment(share: Share, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody creates x.dual.report.json after the number was chosen: the others are taken back."""
    job = finished(share, "x.mp4")
    first_free = delivery_module.first_free

    def too_late(folder: Path, names: Any) -> int:
        number = first_free(folder, names)
        if folder == share.outbox and number == 1:
            (folder / "x.dual.report.json").write_text("mine")
        return number

    monkeypatch.setattr(delivery_module, "first_free", too_late)
    assert Delivery(share).deliver(job) == "outbox/x.dual-2.mp4"
    assert tree(share.outbox) == {"x.dual.report.json", *(name.replace(".dual", ".dual-2") for name in OUTPUTS)}
    assert (share.outbox / "x.dual.report.json").read_text() == "mine"


def crash_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the process "end" before or after one of the renames: odd steps after, even ones before."""
    rename = moves.rename_no_replace
    count = iter(range(1000))

    def renamed(source: Path, target: Path) -> None:
        number = next(count)
        if 2 * number == step:
            raise Crash
        rename(source, target)
        if 2 * number + 1 == step:
            raise Crash

    monkeypatch.setattr(moves, "rename_no_replace", renamed)


@pytest.mark.parametrize("step", range(10))
def test_crash_at_every_step(share: Share, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    job = finished(share, "x.mp4")
    crash_at(step, monkeypatch)
    with pytest.raises(Crash):
        Delivery(share).deliver(job)
    monkeypatch.undo()
    if "x.dual.report.json" in tree(share.outbox):
        assert tree(share.outbox) == OUTPUTS
    again = load_job(job.folder)
    assert Delivery(share).deliver(again) == "outbox/x.dual.mp4"
    assert tree(share.outbox) == OUTPUTS
    assert tree(share.originals) == {"x.mp4"}
    assert Delivery(share).deliver(load_job(job.folder)) == "outbox/x.dual.mp4"
    assert tree(share.outbox) == OUTPUTS


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
@pytest.mark.parametrize("ended", ["well", "badly"])
def test_nothing_moves_before_the_plan_is_written_down(tmp_path: Path, ended: str) -> None:
    """There is room for the report, and then none for the manifest."""
    with small_disk(tmp_path):
        share = make_share(tmp_path)
        job = finished(share, "x.mp4")
        delivery, ballast = Delivery(share), tmp_path / "ballast"

        def end(job: Job) -> str:
            return delivery.deliver(job) if ended == "well" else delivery.fail(job, lambda: ERROR)

        fill(ballast, but_blocks=1)
        for _ in range(3):
            with pytest.raises(DiskFullError):
                end(job)
            assert load_job(job.folder).manifest.publish == load_job(job.folder).manifest.retire == []
            assert job.source.exists()
            assert tree(share.outbox) == tree(share.failed) == set()
        ballast.unlink()
        assert end(load_job(job.folder)) in ("outbox/x.dual.mp4", "failed/x.report.json")


@pytest.mark.parametrize("step", range(4))
def test_crash_at_every_step_of_a_failure(share: Share, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    job = claimed(share, "a/x.mp4", b"not a video")
    crash_at(step, monkeypatch)
    with pytest.raises(Crash):
        Delivery(share).fail(job, lambda: ERROR)
    monkeypatch.undo()
    assert Delivery(share).fail(load_job(job.folder), lambda: ERROR) == "failed/a/x.report.json"
    assert tree(share.failed) == {"a/x.mp4", "a/x.report.json"}
    assert (share.failed / "a/x.mp4").read_bytes() == b"not a video"


def test_failures_of_one_name_are_numbered_together(share: Share) -> None:
    for name in ("x.mp4", "x.mov", "x.mp4"):
        Delivery(share).fail(claimed(share, name), lambda: ERROR)
    assert tree(share.failed) == {
        "x.mp4",
        "x.report.json",
        "x-2.mov",
        "x-2.report.json",
        "x-3.mp4",
        "x-3.report.json",
    }


def test_a_failure_without_its_source_leaves_the_report(share: Share) -> None:
    job = claimed(share, "x.mp4")
    job.source.unlink()
    Delivery(share).fail(job, lambda: ERROR)
    assert tree(share.failed) == {"x.report.json"}


@pytest.mark.parametrize("broken", ["video", "tracks", "preview", "report"])
def test_missing_or_empty_output_is_never_delivered(share: Share, broken: str) -> None:
    job = finished(share, "x.mp4")
    assert job.manifest.result is not None
    (job.folder / job.manifest.result["files"][broken]).write_bytes(b"")
    with pytest.raises(InvalidOutputError):
        Delivery(share).deliver(job)
    assert tree(share.outbox) == set()
    assert job.source.exists()


@pytest.mark.parametrize("lack", ["all of it", "the job's directory"])
def test_a_share_that_goes_away_while_planning_is_no_missing_output(
    share: Share, lack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = finished(share, "x.mp4")
    first_free = delivery_module.first_free
    gone = share.root if lack == "all of it" else share.jobs
    elsewhere = share.root.with_name(f"{share.root.name} is away")

    def away(folder: Path, names: Any) -> int:
        number = first_free(folder, names)
        gone.rename(elsewhere)
        return number

    monkeypatch.setattr(delivery_module, "first_free", away)
    with pytest.raises(StorageError):
        Delivery(share).deliver(job)
    elsewhere.rename(gone)
    monkeypatch.undo()
    assert Delivery(share).deliver(job) == "outbox/x.dual.mp4"


def test_a_file_that_is_back_at_the_second_look_is_not_missing(share: Share, monkeypatch: pytest.MonkeyPatch) -> None:
    job = finished(share, "x.mp4")
    monkeypatch.setattr(delivery_module.FileMark, "of", lambda path: None)
    with pytest.raises(StorageError):
        Delivery(share).deliver(job)
    monkeypatch.undo()
    assert Delivery(share).deliver(job) == "outbox/x.dual.mp4"


def test_outbox_folder_that_is_a_link_is_not_followed(share: Share, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (share.outbox / "a").symlink_to(elsewhere)
    with pytest.raises(Exception, match="Not a directory"):
        Delivery(share).deliver(finished(share, "a/x.mp4"))
    assert list(elsewhere.iterdir()) == []


def test_a_folder_called_like_the_status_page_lies_beside_it(share: Share) -> None:
    (share.outbox / "status.html").write_text("the page")
    for name in ("status.html/a/x.mp4", "Status.JSON/x.mp4"):
        job = finished(share, name)
        Delivery(share).deliver(job)
        assert load_job(job.folder).manifest.publish == job.manifest.publish
    folders = ("status-2.html/a", "Status-2.JSON")
    assert tree(share.outbox) == {"status.html", *(f"{folder}/{name}" for folder in folders for name in OUTPUTS)}
    assert tree(share.originals) == {"status.html/a/x.mp4", "Status.JSON/x.mp4"}


def test_manifest_survives_every_byte_of_a_name(share: Share) -> None:
    job: Job = claimed(share, os.fsdecode(b"\xc3\x28\xff\n\t\x01.mp4"))
    assert load_job(job.folder).manifest == job.manifest
