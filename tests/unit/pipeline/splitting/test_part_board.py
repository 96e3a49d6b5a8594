"""Each part is detected and rendered once, whatever its workers do."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pipeline.splitting.part import Part
from pipeline.splitting.part_board import MOST_ATTEMPTS, Grant, PartBoard, SplitAbandonedError

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
    @rule(worker=st.sampled_from(WORKERS))
    def ask(self, worker: str) -> None:
        grant = self.board.grant(worker)
        if worker in self.granted:
            assert grant is None
        if grant is None:
            return
        assert grant.folder not in self.folders
        assert all((grant.part, grant.stage) != (other.part, other.stage) for other in self.granted.values())
        if grant.stage == "detect":
            assert grant.part.index not in self.detected
            assert grant.part.index < self.oldest_open + self.ahead
        else:
            assert grant.part.index < self.decided
            assert grant.part.index not in self.rendered
        self.folders.add(grant.folder)
        self.granted[worker] = grant

    @precondition(lambda self: self.granted and not self.abandoned)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(sorted(self.granted)))
        grant = self.granted.pop(worker)
        assert self.board.finish(worker) == grant
        if grant.stage == "render":
            self.rendered.append(grant.part.index)
            return
        self.detected.add(grant.part.index)
        while self.decided in self.detected:
            self.board.may_render(self.decided)
            self.decided += 1

    @precondition(lambda self: self.granted and not self.abandoned)
    @rule(data=st.data(), leaves=st.booleans())
    def fail(self, data: st.DataObject, leaves: bool) -> None:
        worker = data.draw(st.sampled_from(sorted(self.granted)))
        grant = self.granted.pop(worker)
        key = grant.part.index, grant.stage
        self.failures[key] = self.failures.get(key, 0) + 1
        if leaves:
            self.board.leave([worker])
        self.abandoned = self.failures[key] >= MOST_ATTEMPTS
        if self.abandoned:
            with pytest.raises(SplitAbandonedError, match="bad luck"):
                self.board.fail(worker, "bad luck")
        else:
            assert self.board.fail(worker, "bad luck") == grant

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
        for worker in list(self.granted):
            with suppress(SplitAbandonedError):
                self.board.fail(worker, "")
                self.granted.pop(worker)
        if self.granted:
            return
        for _ in range(2 * self.count):
            self.ask("a")
            if "a" in self.granted:
                grant = self.granted.pop("a")
                self.board.finish("a")
                if grant.stage == "render":
                    self.rendered.append(grant.part.index)
                else:
                    self.detected.add(grant.part.index)
                    while self.decided in self.detected:
                        self.board.may_render(self.decided)
                        self.decided += 1
        assert self.board.done


TestWork = Work.TestCase
TestWork.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def detected(board: PartBoard, worker: str) -> int:
    """Let a worker detect in the next part; return its number."""
    assert board.grant(worker)
    return board.finish(worker).part.index


def test_a_worker_renders_where_it_has_detected() -> None:
    board = PartBoard(parts(6), 2)
    assert [detected(board, worker) for worker in "abab"] == [0, 1, 2, 3]
    for index in range(4):
        board.may_render(index)
    grants = [board.grant("b"), board.grant("a")]
    assert [(grant.part.index, grant.stage) for grant in grants if grant] == [(1, "render"), (0, "render")]


def test_others_render_what_a_worker_that_left_has_detected() -> None:
    board = PartBoard(parts(2), 2)
    assert [detected(board, worker) for worker in "ab"] == [0, 1]
    board.leave(["a"])
    for index in range(2):
        board.may_render(index)
    assert detected(board, "b") == 1
    assert detected(board, "b") == 0
    assert board.done


def test_detection_waits_for_rendering() -> None:
    board = PartBoard(parts(20), 1)
    assert [detected(board, "a") for _ in range(3)] == [0, 1, 2]
    assert board.grant("a") is None
    board.may_render(0)
    assert detected(board, "a") == 0
    assert detected(board, "a") == 3


def test_a_part_without_frames_needs_no_rendering() -> None:
    board = PartBoard(parts(2), 1)
    assert [detected(board, "a") for _ in range(2)] == [0, 1]
    board.skip(0)
    board.may_render(1)
    assert detected(board, "a") == 1
    assert board.done


def test_a_failure_of_nobody_is_none() -> None:
    assert PartBoard(parts(1), 1).fail("a", "") is None
