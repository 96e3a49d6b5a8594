"""Packets of a stream are counted with their times, and spans near each other are merged."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.containers.survey import MOST_SPANS, StreamSurvey, merged


def packet(pts: int | None, duration: int, dts: int | None = None) -> av.Packet:
    made = av.Packet(b"x")
    made.time_base, made.pts, made.dts, made.duration = Fraction(1, 1000), pts, dts, duration
    return made


def surveyed(*packets: av.Packet, origin_s: float = 0.0) -> StreamSurvey:
    survey = StreamSurvey(origin_s)
    for each in packets:
        survey.add(each)
    return survey


def test_a_stream_spans_its_first_packet_to_the_end_of_its_last_in_any_order() -> None:
    survey = surveyed(packet(700, 100), packet(500, 100), packet(600, 100), origin_s=0.5)
    assert (survey.packets, survey.first_s, survey.end_s) == (3, 0.0, pytest.approx(0.3))
    assert survey.length_s == pytest.approx(0.3)
    assert surveyed().length_s == 0.0


def test_a_packet_without_a_time_follows_the_one_before() -> None:
    assert surveyed(packet(0, 20), packet(None, 20), packet(None, 20, dts=40)).end_s == pytest.approx(0.06)


def test_only_long_gaps_are_recorded() -> None:
    survey = surveyed(packet(0, 20), packet(900, 20), packet(3000, 20))
    assert survey.gaps == [(pytest.approx(0.92), pytest.approx(3.0))]


def test_losses_near_each_other_are_merged() -> None:
    survey = StreamSurvey()
    for begin in (0.0, 0.3, 5.0, 0.1):
        survey.add_lost((begin, begin + 0.1))
    assert survey.lost == [(0.0, 0.4), (5.0, 5.1)]


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 50)), max_size=200))
def test_merged_spans_are_few_and_ordered_and_cover_all(spans: list[tuple[int, int]]) -> None:
    wanted = [(begin, begin + length) for begin, length in spans]
    found = merged(wanted, 1)
    assert len(found) <= MOST_SPANS
    assert all(a[1] < b[0] for a, b in pairwise(found))
    assert all(any(a <= begin and end <= b for a, b in found) for begin, end in wanted)
