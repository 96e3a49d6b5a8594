"""Stand-ins on timelines of any kind; frames are numbers here."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.cpu.concealment import Concealer
from engines.video.timeline import Slot

BLACK = "black"
MS = Fraction(1, 1000)


def fill(frames: dict[int, float | None]) -> dict[int, Any]:
    """What is shown at each time in milliseconds; None marks what is lost."""
    concealer: Any = Concealer(MS, convert=lambda p: p, blend=lambda a, b, w: ("blend", a, b, w), black=lambda _: BLACK)
    slots = [Slot(pts, 1, frame) for pts, frame in frames.items()]
    filled = list(concealer.fill(slots))
    assert all(is_replaced == (frames[slot.pts] is None) for slot, is_replaced in filled)
    return {slot.pts: slot.frame for slot, _ in filled}


def lost(first: int, last: int, step: int = 50) -> dict[int, float | None]:
    return dict.fromkeys(range(first, last + 1, step))


def test_a_short_gap_repeats() -> None:
    assert fill({0: 1, **lost(50, 250), 300: 2}) == {0: 1, **dict.fromkeys(range(50, 251, 50), 1), 300: 2}


def test_a_longer_gap_is_interpolated_by_time() -> None:
    shown = fill({0: 1, 100: None, 400: None, 1000: 2})
    assert shown == {0: 1, 100: ("blend", 1, 2, 0.1), 400: ("blend", 1, 2, 0.4), 1000: 2}


def test_a_very_long_gap_turns_black_after_a_moment() -> None:
    shown = fill({0: 1, **lost(50, 3000), 3050: 2})
    assert [t for t, frame in shown.items() if frame == 1] == [0, *range(50, 300, 50)]
    assert {shown[t] for t in range(300, 3001, 50)} == {BLACK}


@pytest.mark.parametrize(("until", "expected"), [(200, 7), (1900, 7), (2500, BLACK)])
def test_before_the_first_good_frame(until: int, expected: object) -> None:
    shown = fill({**lost(0, until), until + 50: 7})
    assert {shown[t] for t in range(0, until + 1, 50)} == {expected}


def test_behind_the_last_good_frame() -> None:
    assert set(fill({0: 7, **lost(50, 1900)}).values()) == {7}
    assert set(fill({0: 7, **lost(50, 9000)}).values()) == {7, BLACK}


def test_nothing_comes_of_nothing() -> None:
    assert fill(lost(0, 500)) == {}


@given(st.lists(st.tuples(st.integers(1, 900), st.booleans()), min_size=2, max_size=60), st.data())
def test_what_stands_in_depends_on_the_good_frames_around_a_gap_alone(
    steps: list[tuple[int, bool]], data: st.DataObject
) -> None:
    """So a run that begins with the last good frame before some place shows the same from there on."""
    frames: dict[int, float | None] = {0: 0}
    for step, good in steps:
        pts = max(frames) + step
        frames[pts] = pts if good else None
    whole = fill(frames)
    assert list(whole) == list(frames)
    begin = data.draw(st.sampled_from([pts for pts, frame in frames.items() if frame is not None]))
    tail = {pts: frame for pts, frame in frames.items() if pts >= begin}
    assert fill(tail) == {pts: frame for pts, frame in whole.items() if pts >= begin}
