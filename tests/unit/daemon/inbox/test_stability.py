"""Settling: a file counts as complete only after enough quiet looks over enough time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daemon.inbox.stability import SettleTracker, Signature

QUIET_S, EMPTY_S, POLLS = 5.0, 60.0, 3


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def tracker(clock: Clock) -> SettleTracker:
    return SettleTracker(quiet_s=QUIET_S, empty_s=EMPTY_S, polls=POLLS, clock=clock)


def test_settles_after_polls_and_time() -> None:
    clock = Clock()
    files = tracker(clock)
    looks = []
    for clock.now in (0.0, 2.0, 4.0, 6.0):
        looks.append(files.observe("a", Signature(10, 1, 1)))
    assert looks == [False, False, False, True]


def test_time_alone_is_not_enough() -> None:
    clock = Clock()
    files = tracker(clock)
    files.observe("a", Signature(10, 1, 1))
    clock.now = 1000.0
    assert not files.observe("a", Signature(10, 1, 1))
    assert files.observe("a", Signature(10, 1, 1))


def test_a_disturbed_file_starts_over() -> None:
    clock = Clock()
    files = tracker(clock)
    for clock.now in (0.0, 3.0, 6.0):
        files.observe("a", Signature(10, 1, 1))
    files.forget("a")
    assert not files.observe("a", Signature(10, 1, 1))


def test_empty_file_needs_longer() -> None:
    clock = Clock()
    files = tracker(clock)
    looks = []
    for clock.now in (0.0, 20.0, 40.0, 61.0):
        looks.append(files.observe("a", Signature(0, 1, 1)))
    assert looks == [False, False, False, True]


signatures = st.builds(Signature, size=st.integers(0, 3), mtime_ns=st.integers(0, 2), inode=st.integers(1, 2))
Steps = list[tuple[float, Signature]]
steps = st.lists(st.tuples(st.floats(0.01, 30), signatures), min_size=1, max_size=40)


@given(steps)
def test_settled_means_quiet_for_long_enough(steps: Steps) -> None:
    """Whatever is seen and when: True exactly when the present signature has stood for the polls and the time."""
    clock = Clock()
    files = tracker(clock)
    seen: list[tuple[float, Signature]] = []
    for wait_s, signature in steps:
        clock.now += wait_s
        seen.append((clock.now, signature))
        run = []
        for at, other in reversed(seen):
            if other != signature:
                break
            run.append(at)
        needed_s = QUIET_S if signature.size else EMPTY_S
        expected = len(run) >= POLLS and run[0] - run[-1] >= needed_s
        assert files.observe("a", signature) == expected


@given(steps, steps)
def test_files_settle_independently(first: Steps, second: Steps) -> None:
    def alone(moves: Steps, others: Steps) -> list[bool]:
        clock = Clock()
        files = tracker(clock)
        looks = []
        for (wait_s, signature), (_, other) in zip(moves, others, strict=False):
            clock.now += wait_s
            looks.append(files.observe("a", signature))
            files.observe("b", other)
        return looks

    assert alone(first, second) == alone(first, [(0.0, Signature(1, 1, 1))] * len(second))
