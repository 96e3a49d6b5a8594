"""Stage timers: percentiles within a bucket's width, and exact state."""

import pytest

from pipeline.telemetry.throughput import Pace
from pipeline.telemetry.timing import JobClock, StageTimer


def test_percentiles_are_right_within_five_percent():
    timer = StageTimer()
    for ms in range(1, 1001):
        timer.add(ms / 1000)
    assert timer.percentile_ms(50) == pytest.approx(500, rel=0.05)
    assert timer.percentile_ms(99) == pytest.approx(990, rel=0.05)
    assert timer.total_s == pytest.approx(500.5)


def test_a_batch_counts_per_frame():
    timer = StageTimer()
    timer.add(0.8, frames=8)
    assert timer.percentile_ms(50) == pytest.approx(100, rel=0.05)


def test_nothing_measured_is_zero():
    assert StageTimer().percentile_ms(95) == 0.0


def test_state_survives_a_round_trip():
    clock = JobClock()
    clock.add("decode", 0.004, 2)
    clock.add("encode", 0.0, 0)
    other = JobClock()
    other.restore(clock.state())
    assert other.state() == clock.state()


def test_pace_is_that_of_the_window_not_of_the_whole():
    now = [0.0]
    pace = Pace(window_s=10, now=lambda: now[0])
    assert pace.mark(0) == 0.0
    for second in range(1, 101):
        now[0] = second
        frames = second * 10 if second <= 50 else 500 + (second - 50) * 40
        fps = pace.mark(frames)
    assert fps == pytest.approx(40)
