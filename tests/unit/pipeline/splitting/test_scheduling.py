"""Workers that share a recording are kept busy: simulated with parts that only sleep."""

from __future__ import annotations

import pytest

from tests.bench.scheduling import split
from tests.support.sleeping_crew import Costs


@pytest.mark.parametrize(("workers", "least"), [(1, 0.98), (2, 0.97), (4, 0.93)])
def test_workers_are_busy(workers: int, least: float) -> None:
    found = split(workers, 7200, Costs(decide_ms=0), counts_cpu=False)
    assert least < found.efficiency <= 1


def test_decisions_limit_the_gain() -> None:
    few, many = (split(workers, 7200, Costs(decide_ms=0.9), counts_cpu=False) for workers in (8, 32))
    assert many.wall_s > 7200 * 30 * 0.0009
    assert many.wall_s == pytest.approx(few.wall_s, rel=0.05)
