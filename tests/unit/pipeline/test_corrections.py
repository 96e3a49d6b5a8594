"""Sidecars: what they change, and that every error names its line."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.frames import Rect
from pipeline.corrections import CorrectionsError, fitted, parse
from pipeline.people import Row, Tile

LEFT = Tile(1, Rect(10, 10, 50, 60), Rect(0, 0, 80, 90), "detected")
RIGHT = Tile(2, None, Rect(200, 0, 80, 90), "frozen", still_pts=7)


def shown(text: str, t: float) -> Row:
    return parse(text).apply(Row(0, t, LEFT, RIGHT), 640, 360)


def test_an_empty_sidecar_changes_nothing():
    assert shown("", 1.0) == Row(0, 1.0, LEFT, RIGHT)
    assert shown("# only a remark\n", 1.0) == Row(0, 1.0, LEFT, RIGHT)


def test_swap_exchanges_the_tiles():
    row = shown("swap: true", 3.0)
    assert (row.left, row.right) == (RIGHT, LEFT)


@pytest.mark.parametrize(("t", "exchanged"), [(59.9, False), (60, True), (75.4, True), (75.5, False)])
def test_a_span_is_exchanged_from_its_begin_to_before_its_end(t, exchanged):
    row = shown("swap_spans:\n  - {from: 1:00, to: '1:15.5'}\n", t)
    assert row.left is (RIGHT if exchanged else LEFT)


def test_a_span_inside_a_swapped_file_is_exchanged_back():
    text = "swap: true\nswap_spans: [{from: 10, to: 20}]"
    assert shown(text, 5).left is RIGHT
    assert shown(text, 15).left is LEFT


def test_a_pin_shows_its_crop_live():
    row = shown("pins:\n- {tile: right, from: 0, to: 2, crop: [100, 50, 160, 180]}", 1)
    assert row.right.crop == Rect(100, 50, 160, 180)
    assert (row.right.source, row.right.still_pts) == ("held", None)
    assert row.left is LEFT


@pytest.mark.parametrize(("tile", "other"), [("left", "right"), ("right", "left")])
def test_a_pin_beside_the_only_person_splits_the_full_frame(tile, other):
    empty = Tile(None, None, RIGHT.crop, "held")
    full = Row(0, 1, LEFT, empty, None, Rect(0, 0, 640, 360))
    pins = parse(f"pins:\n- {{tile: {tile}, from: 1, to: 2, crop: [100, 50, 160, 180]}}")
    row = pins.apply(full, 640, 360)
    assert row.full is None
    assert getattr(row, tile).crop == Rect(100, 50, 160, 180)
    assert getattr(row, other) == LEFT
    assert pins.apply(replace(full, t=3), 640, 360).full == full.full


def test_another_profile_can_be_named():
    assert parse("profile: fast").profile == "fast"


def test_an_unknown_profile_is_named_with_its_line():
    with pytest.raises(CorrectionsError, match="line 2: profile: there is no profile 'slow', only default, fast"):
        parse("swap: true\nprofile: slow", profiles=["fast", "default"])


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("swap: true\nswop: true\n", 2),
        ("swap: perhaps\n", 1),
        ("swap: true\nswap_spans:\n  - {from: 1, to: 2}\n  - {from: 5, to: 4}\n", 4),
        ("pins:\n  - tile: left\n    from: 0\n    to: 1\n    crop: [1, 2, 3]\n", 5),
        ("pins:\n  - tile: middle\n    from: 0\n    to: 1\n    crop: [0, 0, 80, 90]\n", 2),
        ("swap: true\n  bad: [\n", 2),
        ("- swap\n", 1),
    ],
)
def test_an_error_names_its_line(text, line):
    with pytest.raises(CorrectionsError, match=f"line {line}\\b"):
        parse(text)


rects = st.builds(Rect, *[st.floats(-500, 3000)] * 2, *[st.floats(16, 3000)] * 2)


@given(rects, st.integers(64, 4000), st.integers(64, 4000))
def test_a_fitted_crop_lies_inside_and_has_the_tiles_shape(crop, width, height):
    got = fitted(crop, width, height)
    assert got.w / got.h == pytest.approx(8 / 9)
    assert got.x >= 0 and got.y >= 0
    assert got.x + got.w <= width + 1e-6 and got.y + got.h <= height + 1e-6
