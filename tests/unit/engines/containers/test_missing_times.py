"""Packets without a time lead up to the first ones that have one."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.containers.flv_clock import PERIOD_MS, FlvClock
from engines.containers.missing_times import MOST_PACKETS, MissingTimes

MILLISECOND = Fraction(1, 1000)
STEP_S = Fraction(1, 30)


def packet(pts: int | None, dts: int | None = None) -> Any:
    return SimpleNamespace(pts=pts, dts=dts, duration=33, time_base=MILLISECOND)


def through(packets: list[Any], step_s: Fraction | None = STEP_S) -> list[Any]:
    missing = MissingTimes(step_s)
    return [out for taken in packets for out in missing.take(taken)] + missing.finish()


def test_packets_with_times_pass_at_once() -> None:
    missing = MissingTimes(STEP_S)
    for number in range(50):
        given_packet = packet(33 * number)
        assert missing.take(given_packet) == [given_packet]
    assert missing.take(late := packet(None)) == [late], "only the head is mended"


@given(st.integers(1, 60), st.integers(0, 40))
def test_times_lead_up_evenly(unknown: int, known: int) -> None:
    packets = [packet(None) for _ in range(unknown)] + [packet(round(n * 1000 / 30)) for n in range(known)]
    out = through(packets)
    assert out == packets, "none is lost, and their order stays"
    first = unknown if known == 0 else 0
    assert [p.pts for p in out] == [round(Fraction((n - unknown + first) * 1000, 30)) for n in range(unknown + known)]


def test_reordered_packets_lead_up_to_the_earliest() -> None:
    """The first one with a time is often not the first that is shown."""
    out = through([packet(None), packet(None), packet(100), packet(None), packet(33), packet(0), packet(67)])
    assert sorted(p.pts for p in out) == [-100, -67, -33, 0, 33, 67, 100]


def test_without_a_rate_durations_count() -> None:
    assert [p.pts for p in through([packet(None), packet(None), packet(0)], None)] == [-66, -33, 0]


def test_memory_is_bounded() -> None:
    missing = MissingTimes(STEP_S)
    assert sum(len(missing.take(packet(None))) for _ in range(MOST_PACKETS)) == MOST_PACKETS


@pytest.mark.parametrize(
    ("read", "true"),
    [
        ([PERIOD_MS - 300, PERIOD_MS - 33, 2 * PERIOD_MS, 2 * PERIOD_MS + 33], [-300, -33, 0, 33]),  # the sign is lost
        ([2 * PERIOD_MS - 300, 2 * PERIOD_MS - 33, 2 * PERIOD_MS], [-300, -33, 0]),
        ([0, 33, PERIOD_MS - 10], [0, 33, PERIOD_MS - 10]),
    ],
)
def test_negative_times_of_flv(read: list[int], true: list[int]) -> None:
    clock = FlvClock()
    packets = [packet(time, time) for time in read]
    for given_packet in packets:
        clock.correct(given_packet)
    assert [(p.pts, p.dts) for p in packets] == [(time, time) for time in true]
