"""Stage timers: percentiles within a bucket's width, and exact state."""

import pytest

from pipeline.telemetry.throughput import Throughput
from pipeline.telemetry.timing import JobTelemetry, StageTimer


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
    clock = JobTelemetry()
    clock.add("decode", 0.004, 2)
    clock.add("encode", 0.0, 0)
    other = JobTelemetry()
    other.restore(clock.state())
    assert other.state() == clock.state()


def test_throughput_is_that_of_the_window_not_of_the_whole_job():
    now = [0.0]
    throughput = Throughput(window_s=10, now=lambda: now[0])
    assert throughput.update(0) == 0.0
    for second in range(1, 101):
        now[0] = second
        frames = second * 10 if second <= 50 else 500 + (second - 50) * 40
        fps = throughput.update(frames)
    assert fps == pytest.approx(40)
