"""Stages hand items on in order, carry errors, and end their threads."""

import threading
from contextlib import closing

import pytest

from pipeline.rendering.stage import Stage


def test_items_arrive_in_order_through_a_chain():
    with closing(Stage("a", range(100), 3)) as a, closing(Stage("b", (2 * n for n in a), 2)) as b:
        assert list(b) == [2 * n for n in range(100)]


def test_an_error_comes_after_the_items_before_it():
    def failing():
        yield 1
        raise ValueError("broken")

    stage = Stage("failing", failing(), 4)
    assert next(stage) == 1
    with pytest.raises(ValueError, match="broken"):
        next(stage)
    with pytest.raises(StopIteration):
        next(stage)


def test_an_upstream_error_passes_through_every_stage():
    def failing():
        raise ValueError("at the source")
        yield

    a = Stage("a", failing(), 1)
    b = Stage("b", (n for n in a), 1)
    with pytest.raises(ValueError, match="at the source"):
        next(b)


def test_close_ends_an_endless_producer_and_closes_it():
    closed = threading.Event()

    def endless():
        try:
            while True:
                yield 0
        finally:
            closed.set()

    before = set(threading.enumerate())
    stage = Stage("endless", endless(), 2)
    assert next(stage) == 0
    stage.close()
    assert closed.is_set()
    assert set(threading.enumerate()) <= before


def test_a_producer_runs_ahead_no_further_than_its_depth():
    taken = []

    def counting():
        for n in range(100):
            taken.append(n)
            yield n

    with closing(Stage("counting", counting(), 3)) as stage:
        next(stage)
        threading.Event().wait(0.2)
        assert len(taken) <= 3 + 2
