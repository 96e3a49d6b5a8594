"""Rendered parts enter the checkpoint in order of time, and only if they go with the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.degradation.controller import LevelChanged
from pipeline.errors import JobStopped
from pipeline.interruption import Interruption
from pipeline.job import JobSpec
from pipeline.segments import checkpoint as checkpoints
from pipeline.segments.checkpoint import Boundary, Checkpoint
from pipeline.segments.segment import SegmentWriter, is_intact
from pipeline.splitting.adoption import Adoption, RenderedPart
from pipeline.splitting.orders import SEGMENTS, SegmentsRendered
from pipeline.splitting.part_board import SplitAbandonedError
from pipeline.telemetry.timing import JobTelemetry
from pipeline.workdir import THUMBNAILS
from tests.support.rows import row

TICKS = 15_360  # of a segment


class Bench:
    """A job without media: its checkpoint, and parts of two segments each."""

    def __init__(
        self, work_dir: Path, *, should_stop: Callable[[], bool] = lambda: False, changed: bool = False
    ) -> None:
        self.spec = JobSpec("job", work_dir / "x.mp4", "x.mp4", work_dir)
        self.checkpoint = Checkpoint("fingerprint")
        self.confirmed = 0
        self.spec.paths.segments.mkdir()
        self.job: Any = SimpleNamespace(
            spec=self.spec,
            checkpoint=self.checkpoint,
            telemetry=JobTelemetry(),
            backend=SimpleNamespace(pressure_reason=lambda: ""),
            degradation=SimpleNamespace(record_segment=lambda _: changed),
            interruption=Interruption(should_stop, self._confirm),
        )
        self.adoption = Adoption(self.job)

    def _confirm(self) -> None:
        self.confirmed += 1

    def part(self, index: int, *, parts: int = 3, encoder: str = "libx264") -> RenderedPart:
        """Write a part as a worker does."""
        folder = self.spec.paths.parts / f"{index:04d}-1"
        (folder / SEGMENTS).mkdir(parents=True)
        (folder / THUMBNAILS).mkdir()
        (folder / THUMBNAILS / f"{index:012d}-picture.jpg").write_bytes(b"picture")
        numbers = (2 * index, 2 * index + 1)
        records = []
        for number in numbers:
            with SegmentWriter(folder / SEGMENTS, number, number) as writer:
                writer.add_row(row(number * TICKS), row(number * TICKS), 7)
                records.append(writer.finish())
        last = 2 * parts - 1
        boundaries = {n: Boundary(None if n == last else (n + 1) * TICKS, {"after": n}, 0, []) for n in numbers}
        return RenderedPart(folder, SegmentsRendered(folder.name, tuple(records), encoder, "00ff", {}), boundaries)

    def adopted(self) -> list[int]:
        return [record.index for record in self.checkpoint.segments]


def test_parts_in_any_order_enter_in_order_of_time(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    parts = [bench.part(index) for index in range(3)]
    bench.adoption.add(2, parts[2])
    assert bench.adopted() == []
    bench.adoption.add(0, parts[0])
    assert bench.adopted() == [0, 1]
    bench.adoption.add(1, parts[1])
    assert bench.adopted() == [0, 1, 2, 3, 4, 5]
    assert bench.confirmed == 3


def test_the_saved_checkpoint_can_be_resumed_after_each_part(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.adoption.add(0, bench.part(0))
    saved, reason = checkpoints.load(tmp_path, "fingerprint")
    assert saved is not None, reason
    assert (saved.next_pts, saved.analysis, saved.complete) == (2 * TICKS, {"after": 1}, False)
    assert (saved.encoder, saved.extradata) == ("libx264", "00ff")
    bench.adoption.add(1, bench.part(1, parts=2))
    saved, _ = checkpoints.load(tmp_path, "fingerprint")
    assert saved is not None
    assert saved.complete


def test_files_and_thumbnails_move_and_nothing_is_left(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.adoption.add(0, bench.part(0))
    assert all(is_intact(bench.spec.paths.segments, record) for record in bench.checkpoint.segments)
    assert [path.name for path in bench.spec.paths.thumbnails.iterdir()] == ["000000000000-picture.jpg"]
    assert list(bench.spec.paths.parts.iterdir()) == []


def test_an_empty_part_holds_nothing_up(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.adoption.add(1, bench.part(1, parts=2))
    bench.adoption.add(0, None)
    assert bench.adopted() == [2, 3]


def test_a_stop_keeps_what_is_done(tmp_path: Path) -> None:
    bench = Bench(tmp_path, should_stop=lambda: True)
    with pytest.raises(JobStopped):
        bench.adoption.add(0, bench.part(0))
    saved, _ = checkpoints.load(tmp_path, "fingerprint")
    assert saved is not None
    assert len(saved.segments) == 2


def test_a_stop_does_not_keep_a_job_from_its_end(tmp_path: Path) -> None:
    bench = Bench(tmp_path, should_stop=lambda: True)
    bench.adoption.add(0, bench.part(0, parts=1))
    assert bench.checkpoint.complete


def test_another_level_interrupts(tmp_path: Path) -> None:
    bench = Bench(tmp_path, changed=True)
    with pytest.raises(LevelChanged):
        bench.adoption.add(0, bench.part(0))


def damaged(part: RenderedPart) -> RenderedPart:
    next((part.folder / SEGMENTS).glob("*.h264")).write_bytes(b"other")
    return part


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (damaged, "a segment is not what its worker wrote"),
        (lambda part: replace(part, answer=replace(part.answer, extradata="01")), "in different ways"),
        (lambda part: replace(part, answer=replace(part.answer, encoder="h264_nvenc")), "in different ways"),
        (lambda part: replace(part, answer=replace(part.answer, records=part.answer.records[:1])), "other segments"),
    ],
)
def test_a_part_that_does_not_go_with_the_others_ends_the_split(
    spoil: Callable[[RenderedPart], RenderedPart], reason: str, tmp_path: Path
) -> None:
    bench = Bench(tmp_path)
    bench.adoption.add(0, bench.part(0))
    with pytest.raises(SplitAbandonedError, match=reason):
        bench.adoption.add(1, spoil(bench.part(1)))
    assert bench.adopted() == [0, 1]
