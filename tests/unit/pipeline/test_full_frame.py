"""Rows as they are laid out: two tiles, or full frame."""

from __future__ import annotations

from dataclasses import replace

from engines.frames import Rect
from pipeline.full_frame import halves, laid_out, split, whole
from pipeline.people import Row, Tile

FULL = Rect(100, 50, 1600, 900)
PERSON = Tile(1, Rect(800, 300, 90, 120), Rect(500, 100, 640, 720), "detected")
EMPTY = Tile(None, None, Rect(1200, 0, 720, 810), "held")
ROW = Row(7, 0.5, PERSON, EMPTY, None, FULL)


def test_the_tiles_of_a_full_frame_are_its_halves() -> None:
    row = laid_out(ROW)
    assert (row.left.crop, row.right.crop) == halves(FULL) == (Rect(100, 50, 800, 900), Rect(900, 50, 800, 900))
    assert whole(row.left.crop, row.right.crop) == row.full == FULL
    assert (row.left.person, row.left.face, row.left.source) == (1, PERSON.face, "detected")
    assert (row.right.person, row.right.face, row.right.source) == (None, None, "held")


def test_the_person_stays_on_their_side() -> None:
    row = laid_out(replace(ROW, left=EMPTY, right=PERSON))
    assert (row.left.person, row.right.person) == (None, 1)
    assert (row.left.crop, row.right.crop) == halves(FULL)


def test_a_full_frame_is_always_live() -> None:
    away = Tile(1, None, PERSON.crop, "frozen", 3)
    assert laid_out(replace(ROW, left=away)).left == Tile(1, None, halves(FULL)[0], "held")


def test_two_tiles_stay_two_tiles() -> None:
    row = replace(ROW, full=None)
    assert laid_out(row) == split(row) == row


def test_a_split_shows_the_person_in_both_tiles_until_a_pin_replaces_one() -> None:
    row = split(replace(ROW, left=EMPTY, right=PERSON))
    assert (row.left, row.right, row.full) == (PERSON, PERSON, None)
