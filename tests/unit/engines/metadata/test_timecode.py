"""Timecodes: moved by frames, counted at another rate, with and without dropped numbers."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.metadata.timecode import shifted

NTSC, FILM = Fraction(30000, 1001), Fraction(24000, 1001)


@pytest.mark.parametrize(
    ("timecode", "by_s", "source_fps", "fps", "expected"),
    [
        ("01:02:03:04", 0, 30, 30, "01:02:03:04"),
        ("01:02:03:04", Fraction(1, 2), 30, 30, "01:02:03:19"),
        ("01:02:03:04", -1, 25, 25, "01:02:02:04"),
        ("00:00:00:00", Fraction(-1, 25), 25, 25, "23:59:59:24"),
        ("23:59:59:23", Fraction(1001, 24000), FILM, FILM, "00:00:00:00"),
        ("00:00:59;29", Fraction(1001, 30000), NTSC, NTSC, "00:01:00;02"),
        ("00:09:59;29", Fraction(1001, 30000), NTSC, NTSC, "00:10:00;00"),
        ("00:00:59;59", Fraction(1001, 60000), 2 * NTSC, 2 * NTSC, "00:01:00;04"),
        ("10:00:00:48", 0, 60, 30, "10:00:00:24"),
        ("10:00:00:12", 0, 25, 50, "10:00:00:24"),
        ("10:00:00;12", 0, NTSC, 25, "10:00:00:10"),
        ("nonsense", 0, 25, 25, None),
        ("1:2:3", 0, 25, 25, None),
        ("01:02:03:04", 0, 256, 256, None),
        ("01:02:03:04", 0, 25, Fraction(1, 3), None),
    ],
)
def test_timecodes_are_moved(
    timecode: str, by_s: Fraction, source_fps: Fraction, fps: Fraction, expected: str | None
) -> None:
    assert shifted(timecode, Fraction(by_s), Fraction(source_fps), Fraction(fps)) == expected


@given(st.integers(0, 2_589_407), st.sampled_from([NTSC, 2 * NTSC, Fraction(25), Fraction(30)]))
def test_moving_forth_and_back_changes_nothing(frames: int, fps: Fraction) -> None:
    begin = "00:00:00;00" if fps.denominator > 1 else "00:00:00:00"
    moved = shifted(begin, frames / fps, fps, fps)
    assert moved is not None
    assert shifted(moved, -frames / fps, fps, fps) == begin
    minutes, rest = moved.split(":", 2)[1:]
    seconds, frame = rest.replace(";", ":").split(":")
    if fps == NTSC and seconds == "00" and int(minutes) % 10:
        assert int(frame) >= 2, "these numbers are left out"
