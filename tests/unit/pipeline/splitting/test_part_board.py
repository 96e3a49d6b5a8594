"""Each part is detected and rendered once, whatever its workers do."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pipeline.splitting.part import Part
from pipeline.splitting.part_board import (
    LONGEST_SILENCE_S,
    MOST_ATTEMPTS,
    STAGES,
    Grant,
    PartBoard,
    SplitAbandonedError,
    Stage,
)

WORKERS = ("a", "b", "c")


def parts(count: int) -> list[Part]:
    return [Part(n, 2 * n, 2 * n + 2, 20 * n, 20 * n + 20) for n in range(count)]


class Work(RuleBasedStateMachine):
    """A conductor that decides rows in order, and workers that fail, leave and come."""

    @initialize(count=st.integers(1, 12), workers=st.integers(1, 3))
    def begin(self, count: int, workers: int) -> None:
        self.count, self.ahead = count, 2 * workers + 1
        self.board = PartBoard(parts(count), workers)
        self.granted: dict[str, Grant] = {}
        self.ever: set[str] = set()
        self.detected: set[int] = set()
        self.decided = 0
        self.rendered: list[int] = []
        self.failures: dict[tuple[int, Stage], int] = {}
        self.abandoned = False

    @precondition(lambda self: not self.abandoned)
    @rule(worker=st.sampled_from(WORKERS), stage=st.sampled_from(STAGES))
    def ask(self, worker: str, stage: Stage) -> None:
        grant = self.board.grant(worker, stage)
        if grant is None:
            return
        assert (grant.worker, grant.stage) == (worker, stage)
        assert grant.folder not in self.ever
        others = list(self.granted.values())
        assert (worker, stage) not in [(other.worker, other.stage) for other in others]
        assert (grant.part, stage) not in [(other.part, other.stage) for other in others]
        if stage == "detect":
            assert grant.part.index not in self.detected
            assert grant.part.index < self.oldest_open + self.ahead
        else:
            assert grant.part.index < self.decided
            assert grant.part.index not in self.rendered
        self.ever.add(grant.folder)
        self.granted[grant.folder] = grant

    @precondition(lambda self: self.granted and not self.abandoned)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        self._finish(data.draw(st.sampled_from(sorted(self.granted))))

    def _finish(self, folder: str) -> None:
        grant = self.granted.pop(folder)
        assert self.board.finish(folder) == grant
        if grant.stage == "render":
            self.rendered.append(grant.part.index)
            return
        self.detected.add(grant.part.index)
        while self.decided in self.detected:
            self.board.may_render(self.decided)
            self.decided += 1

    @precondition(lambda self: self.granted and not self.abandoned)
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        folder = data.draw(st.sampled_from(sorted(self.granted)))
        self._count_failure(self.granted[folder])
        if self.abandoned:
            with pytest.raises(SplitAbandonedError, match="bad luck"):
                self.board.fail(folder, "bad luck")
        else:
            assert self.board.fail(folder, "bad luck") == self.granted.pop(folder)
            assert self.board.hear(folder) is None

    @precondition(lambda self: not self.abandoned)
    @rule(worker=st.sampled_from(WORKERS))
    def leave(self, worker: str) -> None:
        lost = [grant for grant in self.granted.values() if grant.worker == worker]
        for grant in lost:
            self._count_failure(grant)
        if self.abandoned:
            with pytest.raises(SplitAbandonedError, match="it has died"):
                self.board.leave(worker, "it has died")
            return
        assert sorted(grant.folder for grant in self.board.leave(worker, "it has died")) == sorted(
            self.granted.pop(grant.folder).folder for grant in lost
        )

    def _count_failure(self, grant: Grant) -> None:
        key = grant.part.index, grant.stage
        self.failures[key] = self.failures.get(key, 0) + 1
        self.abandoned = self.abandoned or self.failures[key] >= MOST_ATTEMPTS

    @precondition(lambda self: self.abandoned)
    @rule()
    def rest(self) -> None:
        """Nothing follows."""

    @property
    def oldest_open(self) -> int:
        return next((n for n in range(self.count) if n not in self.rendered), self.count)

    @invariant()
    def is_done_when_all_is_rendered(self) -> None:
        if hasattr(self, "board"):
            assert self.board.done == (len(self.rendered) == self.count)
            assert len(self.rendered) == len(set(self.rendered))
            assert all(self.board.hear(folder) == grant for folder, grant in self.granted.items()) or self.abandoned

    def teardown(self) -> None:
        """Those that are at work and one more worker do the rest: no part is lost, and nothing blocks."""
        if not hasattr(self, "board") or self.abandoned:
            return
        for _ in range(3 * self.count + 3):
            for worker in WORKERS:
                for stage in STAGES:
                    self.ask(worker, stage)
            for folder in list(self.granted):
                self._finish(folder)
        assert self.board.done


TestWork = Work.TestCase
TestWork.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def done(board: PartBoard, worker: str, stage: Stage) -> int:
    """Let a worker do what it is granted; return the number of the part."""
    grant = board.grant(worker, stage)
    assert grant is not None
    return board.finish(grant.folder).part.index


def test_a_worker_detects_in_one_part_and_renders_another() -> None:
    board = PartBoard(parts(4), 1)
    assert done(board, "a", "detect") == 0
    board.may_render(0)
    grants = [board.grant("a", stage) for stage in STAGES]
    assert [(grant.part.index, grant.stage) for grant in grants if grant] == [(0, "render"), (1, "detect")]


def test_a_worker_renders_where_it_has_detected() -> None:
    board = PartBoard(parts(6), 2)
    assert [done(board, worker, "detect") for worker in "abab"] == [0, 1, 2, 3]
    for index in range(4):
        board.may_render(index)
    assert [done(board, worker, "render") for worker in "baab"] == [1, 0, 2, 3]


def test_nobody_takes_over_while_something_is_to_be_detected() -> None:
    board = PartBoard(parts(3), 2)
    assert done(board, "a", "detect") == 0
    board.may_render(0)
    assert board.grant("b", "render") is None
    assert [done(board, "b", "detect") for _ in range(2)] == [1, 2]
    assert done(board, "b", "render") == 0


def test_others_render_what_a_worker_that_left_has_detected() -> None:
    board = PartBoard(parts(9), 2)
    assert [done(board, worker, "detect") for worker in "ab"] == [0, 1]
    board.may_render(0)
    assert board.leave("a", "") == []
    assert done(board, "b", "render") == 0


def test_detection_waits_for_rendering() -> None:
    board = PartBoard(parts(20), 1)
    assert [done(board, "a", "detect") for _ in range(3)] == [0, 1, 2]
    assert board.grant("a", "detect") is None
    board.may_render(0)
    assert done(board, "a", "render") == 0
    assert done(board, "a", "detect") == 3


class Watched:
    """A board with one grant, on a clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.board = PartBoard(parts(1), 1, clock=lambda: self.now)
        grant = self.board.grant("a", "detect")
        assert grant is not None
        self.folder = grant.folder

    def wait(self, seconds: float) -> None:
        """Let time pass in the steps of a conductor that is not blocked."""
        for _ in range(int(seconds)):
            self.now += 1
            self.board.check_silence()


def test_a_worker_that_hangs_ends_the_split() -> None:
    watched = Watched()
    watched.wait(LONGEST_SILENCE_S)
    with pytest.raises(SplitAbandonedError, match="does not get on"):
        watched.wait(1)


def test_a_slow_worker_that_gets_on_does_not() -> None:
    watched = Watched()
    for _ in range(3):
        watched.wait(LONGEST_SILENCE_S)
        assert watched.board.hear(watched.folder)
    watched.board.finish(watched.folder)
    watched.wait(3 * LONGEST_SILENCE_S)


def test_a_stall_of_the_conductor_does_not_count_for_the_worker() -> None:
    """Both may wait for the same share."""
    watched = Watched()
    watched.wait(LONGEST_SILENCE_S - 1)
    watched.now += 10 * LONGEST_SILENCE_S
    watched.wait(2)
    with pytest.raises(SplitAbandonedError):
        watched.wait(1)


def test_a_part_without_frames_needs_no_rendering() -> None:
    board = PartBoard(parts(2), 1)
    assert [done(board, "a", "detect") for _ in range(2)] == [0, 1]
    board.skip(0)
    board.may_render(1)
    assert done(board, "a", "render") == 1
    assert board.done


def test_a_worker_that_gives_way_costs_no_attempt() -> None:
    board = PartBoard(parts(1), 1)
    for _ in range(MOST_ATTEMPTS + 1):
        assert board.grant("a", "detect")
        assert len(board.leave("a", "", is_failure=False)) == 1
    assert done(board, "a", "detect") == 0


def test_detection_goes_on_where_empty_parts_are_skipped() -> None:
    board = PartBoard(parts(6), 1)
    assert all(board.grant(worker, "detect") for worker in WORKERS)
    assert board.grant("d", "detect") is None  # three parts are ahead of what is rendered
    board.skip(1)
    assert board.grant("d", "detect") is None  # the first one is still the oldest
    board.skip(0)
    granted = [board.grant(worker, "detect") for worker in ("d", "e")]
    assert [grant.part.index for grant in granted if grant] == [3, 4]
