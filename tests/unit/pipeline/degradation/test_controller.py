"""The level of one job: what it waits for, when it gives up, and what the report shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import pytest

from engines.errors import DeviceOutOfMemoryError, EncoderMissingError
from pipeline.degradation.controller import Degradation, LevelSpan, spans
from pipeline.degradation.level_ladder import Level
from pipeline.degradation.space import FreeSpace
from pipeline.degradation.triggers import SegmentFacts
from pipeline.errors import DiskFullError, JobStopped
from pipeline.interruption import Interruption
from pipeline.segments import checkpoint as checkpoints
from pipeline.segments.checkpoint import Checkpoint
from pipeline.segments.segment import SegmentRecord
from pipeline.settings import DegradationSettings, LowestLevelSettings
from pipeline.workdir import CHECKPOINT

SETTINGS = DegradationSettings(cool_down_s=10, cool_down_longest_s=40, pauses_max=2, disk_low_bytes=0)
CLEAN = SegmentFacts(frames=300, replaced=0, latency_s=0.01)
MEMORY = DeviceOutOfMemoryError("The GPU ran out of memory")


class Bench:
    """A job's degradation, with a clock that only its waiting moves."""

    def __init__(self, folder: Path, settings: DegradationSettings = SETTINGS) -> None:
        self.now = 0.0
        self.waited: list[float] = []
        self.checkpoint = Checkpoint("mark")
        self.degradation = Degradation(
            settings, folder, self.checkpoint, Fraction(1, 30), clock=lambda: self.now, sleep=self._sleep
        )

    def _sleep(self, seconds: float) -> None:
        self.now += seconds

    def ready(self, should_stop: Callable[[], bool] = lambda: False) -> Level:
        self.degradation.wait_until_ready(Interruption(should_stop), lambda: self.waited.append(self.now))
        return self.degradation.level

    def fail(self) -> Level:
        assert self.degradation.accepts(MEMORY)
        return self.ready()


@dataclass
class Disk:
    free_bytes: int = 2**40


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """A disk whose free space the test sets."""
    disk = Disk()
    monkeypatch.setattr(FreeSpace, "at", lambda _: FreeSpace(disk.free_bytes, 2**40))
    return disk


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_undisturbed_work_waits_for_nothing(bench: Bench) -> None:
    assert bench.ready() is Level.NORMAL
    assert not bench.degradation.record_segment(CLEAN)
    assert bench.waited == []
    assert bench.degradation.reason == ""


def test_the_first_step_comes_at_once_and_the_next_after_the_cool_down(bench: Bench) -> None:
    assert (bench.fail(), bench.now) == (Level.DOWNSCALE, 0)
    assert (bench.fail(), round(bench.now)) == (Level.FRAME_SKIP, 10)
    assert (bench.fail(), round(bench.now)) == (Level.FRAME_SKIP, 70), "20 s until the pause, which takes 40 s"
    assert [round(at_s, 3) for at_s, _ in bench.checkpoint.pauses] == [0]
    assert max(b - a for a, b in zip(bench.waited, bench.waited[1:], strict=False)) <= 0.21, "it shows that it lives"


def test_so_many_pauses_and_no_more(bench: Bench) -> None:
    for _ in range(4):
        bench.fail()
    assert len(bench.checkpoint.pauses) == 2
    assert not bench.degradation.accepts(MEMORY)
    bench.now += 100
    bench.degradation.record_segment(CLEAN)
    assert bench.degradation.accepts(MEMORY), "there was progress"


def test_other_errors_are_not_taken(bench: Bench) -> None:
    assert not bench.degradation.accepts(EncoderMissingError("no encoder"))


def test_a_kind_that_is_switched_off_is_not_taken(tmp_path: Path) -> None:
    lowest = LowestLevelSettings(out_of_memory="normal")
    bench = Bench(tmp_path, SETTINGS.model_copy(update={"lowest": lowest}))
    assert not bench.degradation.accepts(MEMORY)


def test_a_stop_ends_the_waiting(bench: Bench) -> None:
    bench.fail()
    assert bench.degradation.accepts(MEMORY)
    with pytest.raises(JobStopped):
        bench.ready(lambda: bench.now > 3)
    assert bench.now < 4


def test_a_full_disk_never_changes_the_level(bench: Bench) -> None:
    for _ in range(20):
        assert bench.degradation.accepts(DiskFullError("writing a segment failed: No space left on device"))
        assert bench.ready() is Level.NORMAL
        assert len(bench.checkpoint.pauses) == 1, "at one place"
        bench.degradation.record_segment(CLEAN)
    assert bench.degradation.reason == ""
    assert {span.level for span in spans(with_segments(bench.checkpoint), Fraction(1, 30))} == {Level.PAUSE}


def test_little_space_breaks_the_work_off_at_a_segment_s_end(tmp_path: Path, disk: Disk) -> None:
    disk.free_bytes = 2**20
    bench = Bench(tmp_path, SETTINGS.model_copy(update={"disk_low_bytes": 2**28}))
    assert bench.degradation.record_segment(CLEAN)
    with pytest.raises(DiskFullError, match=r"1 MiB free, 256 MiB needed: degradation\.disk_low_bytes; waited 120 s"):
        bench.ready()
    assert bench.degradation.level is Level.NORMAL
    disk.free_bytes = 2**29
    bench.now += 1000
    assert not bench.degradation.record_segment(CLEAN)
    assert bench.ready() is Level.NORMAL


def test_a_trigger_of_a_kind_that_no_longer_exists_is_ignored(tmp_path: Path) -> None:
    """A checkpoint of the version in which a full disk led down."""
    state = {
        "level": "frame_skip", "failures": 2, "clean": 0, "wait_s": 9.0, "fruitless_pauses": 1,
        "trip": ["disk_low", "The disk is full"],
    }  # fmt: skip
    checkpoint = Checkpoint("mark", breaker=state)
    assert Degradation(SETTINGS, tmp_path, checkpoint, Fraction(1, 30)).level is Level.NORMAL


def test_the_level_survives_the_process(bench: Bench, tmp_path: Path) -> None:
    bench.fail()
    loaded, _ = checkpoints.load(tmp_path, "mark")
    assert loaded is not None
    again = Degradation(SETTINGS, tmp_path, loaded, Fraction(1, 30))
    assert (again.level, again.reason) == (Level.DOWNSCALE, "The GPU ran out of memory")


def test_a_level_that_cannot_be_saved_holds_all_the_same(tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT / "in the way").mkdir(parents=True)
    assert Bench(tmp_path).fail() is Level.DOWNSCALE


def with_segments(checkpoint: Checkpoint) -> Checkpoint:
    return replace(checkpoint, segments=[record(0)])


def record(index: int, level: str = "normal", reason: str = "") -> SegmentRecord:
    first = 300 * index
    return SegmentRecord(index, first, first + 299, 1, 300, 1000, "plan", "sha256", level, reason)


def test_spans_join_segments_of_one_level_and_reason() -> None:
    levels = [("normal", ""), ("downscale", "a"), ("downscale", "a"), ("downscale", "b"), ("frame_skip", "b")]
    checkpoint = Checkpoint("mark", segments=[record(n, *level) for n, level in enumerate(levels)])
    checkpoint.add_pause(40.0, "b")
    assert spans(checkpoint, Fraction(1, 30)) == [
        LevelSpan(10, 30, Level.DOWNSCALE, "a"),
        LevelSpan(30, 40, Level.DOWNSCALE, "b"),
        LevelSpan(40, 40, Level.PAUSE, "b"),
        LevelSpan(40, 50, Level.FRAME_SKIP, "b"),
    ]
    assert spans(Checkpoint("mark", segments=[record(0), record(1)]), Fraction(1, 30)) == []
