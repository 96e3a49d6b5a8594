"""`dualface process`, where things go wrong: the bars, the files that are handed over, the report of a failure."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest
from rich.progress import Progress as Display

from daemon.cli.process.batch import Batch, prepare
from daemon.cli.process.items import Item
from daemon.cli.process.results import InterruptedJobError, publish
from daemon.cli.process.view import Bars
from daemon.config.settings import Settings
from daemon.errors import InvalidOutputError, JobBusyError
from daemon.jobs import publication
from daemon.share.naming import NamesFor
from daemon.share.rename import FileMark, move_once
from daemon.worker.protocol import Failed, Finished
from engines.errors import ExplainedError, NotMediaError
from pipeline.job import Progress

HALF = Progress("render", seconds_done=5.0, duration_s=10.0)
RENDERED = HALF.percent


@pytest.fixture
def item(tmp_path: Path) -> Item:
    (tmp_path / "x.mp4").write_bytes(b"x")
    (item,) = prepare([tmp_path / "x.mp4"], tmp_path, Settings(), "default", debug_overlay=False)
    return item


@pytest.mark.parametrize(
    ("error", "percent", "word"),
    [(None, 100, "done"), (NotMediaError("no"), RENDERED, "failed"), (InterruptedJobError("no"), RENDERED, "stopped")],
)
def test_the_bar_is_full_only_when_the_work_is_done(
    item: Item, error: ExplainedError | None, percent: float, word: str
) -> None:
    display = Display(disable=True)
    bars = Bars(display, [item])
    item.progress = HALF
    bars.update(item)
    item.error, item.video = error, None if error else Path("x.dual.mp4")
    bars.update(item)
    assert (display.tasks[0].completed, display.tasks[0].fields["speed"]) == (percent, word)


def finished(item: Item) -> Finished:
    files = {"video": "video.mp4", "tracks": "tracks", "preview": "preview", "report": "report.json"}
    for name in files.values():
        (item.spec.work_dir / name).write_bytes(name.encode())
    (item.spec.work_dir / "report.json").write_text('{"output": {}}')
    return Finished("succeeded", "", files, 1, 1.0, 1.0)


def test_a_delivery_that_is_refused_half_way_leaves_nothing_behind(
    item: Item, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fills up after the video was moved."""
    work_dir, output = item.spec.work_dir, tmp_path / "out"
    output.mkdir()
    outcome = finished(item)

    def full(source: Path, target: Path, mark: FileMark) -> bool:
        if target.parent == output and source.name == "preview":
            raise OSError(errno.ENOSPC, "full")
        return move_once(source, target, mark)

    monkeypatch.setattr(publication, "move_once", full)
    with pytest.raises(OSError, match="full"):
        publish(item, outcome, output)
    assert list(output.iterdir()) == []
    assert (work_dir / "video.mp4").read_bytes() == b"video.mp4"


def test_a_file_that_the_worker_has_not_made_is_named(item: Item, tmp_path: Path) -> None:
    outcome = finished(item)
    (item.spec.work_dir / "tracks").unlink()
    with pytest.raises(InvalidOutputError, match="tracks is missing"):
        publish(item, outcome, tmp_path)


def test_the_report_names_the_video_and_comes_last(item: Item, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order = []
    monkeypatch.setattr(
        publication, "move_once", lambda source, target, mark: order.append(target) or move_once(source, target, mark)
    )
    video = publish(item, finished(item), tmp_path)
    assert json.loads(order[-1].read_bytes()) == {"output": {"path": str(video)}}


@pytest.mark.parametrize(("error", "kept"), [(JobBusyError("busy"), True), (NotMediaError("no"), False)])
def test_work_is_thrown_away_only_where_the_file_is_at_fault(
    item: Item, tmp_path: Path, error: ExplainedError, kept: bool
) -> None:
    (item.spec.work_dir / "checkpoint.json").write_text("{}")
    batch = Batch(Settings(), tmp_path, [item], 1, lambda _: None, lambda: None)
    batch._end(item, Failed.of(error))
    assert (item.spec.work_dir / "checkpoint.json").exists() is kept
    assert item.report == tmp_path / "x.report.json"
    assert item.error is not None
    assert ("same command again" in item.error.remedy) is kept


def test_a_report_overwrites_no_other(item: Item, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another command writes one of the same name between the look and the move."""
    look = publication.first_free

    def too_late(folder: Path, names: NamesFor) -> int:
        number = look(folder, names)
        if number == 1:
            (folder / names(1)["report"]).write_text("the other's")
        return number

    monkeypatch.setattr(publication, "first_free", too_late)
    Batch(Settings(), tmp_path, [item], 1, lambda _: None, lambda: None)._end(item, Failed.of(NotMediaError("no")))
    assert item.report == tmp_path / "x-2.report.json"
    assert (tmp_path / "x.report.json").read_text() == "the other's"


def test_a_file_that_is_named_twice_is_worked_on_once(tmp_path: Path) -> None:
    """Two workers in one directory would take it from each other."""
    for name in ("x.mp4", "y.mp4"):
        (tmp_path / name).write_bytes(b"x")
    names = [tmp_path / name for name in ("x.mp4", "y.mp4", "./x.mp4")]
    items = prepare(names, tmp_path, Settings(), "default", debug_overlay=False)
    assert [each.source for each in items] == names[:2]
