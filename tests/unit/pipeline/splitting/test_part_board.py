"""Each part is detected and rendered once, whatever its workers do."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pipeline.splitting.part import Part
from pipeline.splitting.part_board import MOST_ATTEMPTS, STAGES, Grant, PartBoard, SplitAbandonedError, Stage

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
        self.detected: set[int] = set()
        self.decided = 0
        self.rendered: list[int] = []
        self.folders: set[str] = set()
        self.failures: dict[tuple[int, str], int] = {}
        self.abandoned = False

    @precondition(lambda self: not self.abandoned)
    @rule(worker=st.sampled_from(WORKERS), stage=st.sampled_from(STAGES))
    def ask(self, worker: str, stage: Stage) -> None:
        grant = self.board.grant(worker, stage)
        if any((other.worker, other.stage) == (worker, stage) for other in self.granted.values()):
            assert grant is None
        if grant is None:
            return
        assert (grant.worker, grant.stage) == (worker, stage)
        assert grant.folder not in self.folders
        assert all((grant.part, grant.stage) != (other.part, other.stage) for other in self.granted.values())
        if grant.stage == "detect":
            assert grant.part.index not in self.detected
            assert grant.part.index < self.oldest_open + self.ahead
        else:
            assert grant.part.index < self.decided
            assert grant.part.index not in self.rendered
        self.folders.add(grant.folder)
        self.granted[grant.folder] = grant

    @precondition(lambda self: self.granted and not self.abandoned)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        self.end(data.draw(st.sampled_from(sorted(self.granted))))

    def end(self, folder: str) -> None:
        grant = self.granted.pop(folder)
        assert self.board.finish(folder) == grant
        assert self.board.holds(folder) is None
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
        grant = self.granted.pop(folder)
        if self.count_failure(grant):
            with pytest.raises(SplitAbandonedError, match="bad luck"):
                self.board.fail(folder, "bad luck")
        else:
            assert self.board.fail(folder, "bad luck") == grant

    @precondition(lambda self: not self.abandoned)
    @rule(worker=st.sampled_from(WORKERS))
    def leave(self, worker: str) -> None:
        held = [grant for grant in self.granted.values() if grant.worker == worker]
        self.granted = {folder: grant for folder, grant in self.granted.items() if grant not in held}
        if any([self.count_failure(grant) for grant in held]):  # all are counted
            with pytest.raises(SplitAbandonedError, match="bad luck"):
                self.board.leave(worker, "bad luck")
        else:
            assert self.board.leave(worker, "bad luck") == held

    def count_failure(self, grant: Grant) -> bool:
        key = grant.part.index, grant.stage
        self.failures[key] = self.failures.get(key, 0) + 1
        self.abandoned = self.abandoned or self.failures[key] >= MOST_ATTEMPTS
        return self.failures[key] >= MOST_ATTEMPTS

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

    def teardown(self) -> None:
        """One worker alone can do the rest: no part is lost."""
        if not hasattr(self, "board") or self.abandoned:
            return
        for folder in list(self.granted):
            self.end(folder)
        for _ in range(2 * self.count):
            for stage in STAGES:
                self.ask("a", stage)
            for folder in list(self.granted):
                self.end(folder)
        assert self.board.done


TestWork = Work.TestCase
TestWork.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def done(board: PartBoard, worker: str, stage: Stage = "detect") -> int:
    """Let a worker do its next part; return its number."""
    grant = board.grant(worker, stage)
    assert grant
    return board.finish(grant.folder).part.index


def test_a_worker_renders_where_it_has_detected() -> None:
    board = PartBoard(parts(6), 2)
    assert [done(board, worker) for worker in "abab"] == [0, 1, 2, 3]
    for index in range(4):
        board.may_render(index)
    grants = [board.grant("b", "render"), board.grant("a", "render")]
    assert [grant.part.index for grant in grants if grant] == [1, 0]


def test_a_worker_detects_while_it_renders() -> None:
    board = PartBoard(parts(3), 1)
    assert done(board, "a") == 0
    board.may_render(0)
    assert all(board.grant("a", stage) for stage in STAGES)
    assert not any(board.grant("a", stage) for stage in STAGES)


def test_others_render_what_a_worker_that_left_has_detected() -> None:
    board = PartBoard(parts(3), 2)
    assert [done(board, worker) for worker in "ab"] == [0, 1]
    for index in range(2):
        board.may_render(index)
    assert done(board, "b", "render") == 1
    assert board.grant("b", "render") is None
    board.leave("a", "")
    assert done(board, "b", "render") == 0


def test_others_render_if_there_is_nothing_else_to_do() -> None:
    board = PartBoard(parts(1), 2)
    assert done(board, "a") == 0
    board.may_render(0)
    assert done(board, "b", "render") == 0
    assert board.done


def test_detection_waits_for_rendering() -> None:
    board = PartBoard(parts(20), 1)
    assert [done(board, "a") for _ in range(3)] == [0, 1, 2]
    assert board.grant("a", "detect") is None
    board.may_render(0)
    assert done(board, "a", "render") == 0
    assert done(board, "a") == 3


def test_a_part_without_frames_needs_no_rendering() -> None:
    board = PartBoard(parts(2), 1)
    assert [done(board, "a") for _ in range(2)] == [0, 1]
    board.skip(0)
    board.may_render(1)
    assert done(board, "a", "render") == 1
    assert board.done
