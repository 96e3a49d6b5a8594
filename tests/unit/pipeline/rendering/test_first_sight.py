"""What a video shows before its people are seen, once the whole of it is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from engines.frames import Rect
from pipeline.people import Row, Source, Tile
from pipeline.rendering.first_sight import FirstSights

CROP = Rect(100, 0, 480, 540)
FULL = Rect(0, 0, 960, 540)
SIZE = (960, 540)
INSIDE, CUT_OFF = Rect(300, 100, 80, 100), Rect(60, 100, 80, 100)

Faces = Sequence[Rect | None]


def shown(face: Rect | None, person: int | None = 1, source: Source = "detected") -> Tile:
    return Tile(person, face, CROP, source if face else "held")


def rows(left: Faces, right: Faces, *, full: bool = False) -> list[Row]:
    """25 frames a second, whose two tiles are apart in the recording; ``full``: as long as the right one is empty."""
    film, alone = [], full
    for i, (a, b) in enumerate(zip(left, right, strict=True)):
        alone = alone and b is None
        far = None if b is None else Rect(b.x, b.y, b.w, b.h)
        film.append(Row(40 * i, i / 25, shown(a), shown(far, 2), None, FULL if alone else None))
    return film


def sights_of(film: Sequence[Row]) -> FirstSights:
    return FirstSights.of(film, SIZE)


def test_a_tile_shows_the_first_frame_in_which_its_person_is_wholly_seen() -> None:
    film = rows([None] * 5, [None, None, CUT_OFF, INSIDE, None])
    sights = sights_of(film)
    still = Tile(2, None, CROP, "frozen", 120)
    assert [sights.apply(row).right for row in film] == [still, still, *(row.right for row in film[2:])]
    assert [sights.apply(row).left for row in film] == [row.left for row in film]


def test_the_largest_face_within_three_seconds_is_shown() -> None:
    small, large, later = (Rect(340 - h / 2, 200, 0.8 * h, h) for h in (60, 120, 200))
    film = rows([None] * 150, [None] * 10 + [small] * 30 + [large] + [small] * 59 + [later] * 50)
    assert sights_of(film).apply(film[0]).right.still_pts == 40 * 40


def test_a_frame_without_the_other_person_is_better_than_a_larger_face() -> None:
    beside = Rect(480, 100, 80, 100)
    film = rows([None] * 5 + [beside] * 5 + [None] * 10, [None] * 5 + [Rect(300, 100, 96, 120)] * 5 + [INSIDE] * 10)
    assert sights_of(film).apply(film[0]).right.still_pts == 40 * 10


@pytest.mark.parametrize(("x", "crop_x"), [(420, 100), (700, 440)])
def test_a_still_has_the_crop_with_which_the_live_tile_begins_if_that_shows_the_face(x: int, crop_x: int) -> None:
    film = rows([None] * 4, [None, None, CUT_OFF, Rect(x, 100, 80, 100)])
    film[3] = replace(film[3], right=replace(film[3].right, crop=replace(CROP, x=440.0)))
    still = sights_of(film).apply(film[0]).right
    assert (still.still_pts, still.crop.x) == (120, crop_x)


def test_a_picture_is_not_shown_where_it_was_taken_for_a_person() -> None:
    """It is taken for person 2 for a second; then the camera takes up to another second to leave it."""
    film = rows([INSIDE] * 100, [CUT_OFF] * 25 + [INSIDE] * 75)
    sights = FirstSights.of(film, SIZE, {2: 1.0})
    assert sights
    shown_now = [sights.apply(row) for row in film]
    assert {row.right.still_pts for row in shown_now[:50]} == {2000}
    assert [row.right for row in shown_now[50:]] == [row.right for row in film[50:]]
    assert [row.left for row in shown_now] == [row.left for row in film]


def test_a_picture_stays_where_its_person_is_in_the_other_tile() -> None:
    """The two people change sides when the picture of person 1 gives way."""
    film = [
        replace(row, left=shown(INSIDE, 2 if row.t < 1 else 1), right=shown(INSIDE, 1 if row.t < 1 else 2))
        for row in rows([INSIDE] * 100, [INSIDE] * 100)
    ]
    sights = FirstSights.of(film, SIZE, {1: 1.0})
    assert [sights.apply(row) for row in film] == film


def test_an_interpolated_face_is_no_still_where_there_is_a_detected_one() -> None:
    film = rows([INSIDE] * 3, [None] * 3)
    film += [
        Row(40 * (3 + i), 0.12 + i / 25, film[0].left, shown(INSIDE, 2, "tracked" if i < 4 else "detected"))
        for i in range(8)
    ]
    far = [Row(r.pts, r.t, Tile(1, None, CROP, "held"), r.right) for r in film]
    assert sights_of([film[0], *far[1:]]).apply(film[0]).right.still_pts == 40 * 7


def test_one_person_in_the_whole_file_stays_full_frame() -> None:
    film = rows([None, INSIDE, INSIDE], [None] * 3, full=True)
    sights = sights_of(film)
    assert sights.is_single
    assert not sights, "nothing is to be rendered again"
    assert [sights.apply(row) for row in film] == film


def test_full_frames_become_two_tiles_if_somebody_follows() -> None:
    film = rows([INSIDE] * 6, [None] * 3 + [INSIDE] * 3, full=True)
    sights = sights_of(film)
    assert sights
    assert not sights.is_single
    laid_out = [sights.apply(row) for row in film]
    assert [row.full for row in laid_out] == [None] * 6
    assert {row.right.source for row in laid_out[:3]} == {"frozen"}
    assert [row.left for row in laid_out] == [row.left for row in film]


def test_two_people_from_the_first_frame_on_need_no_second_look() -> None:
    film = iter(rows([INSIDE] * 10, [INSIDE] * 10))
    assert not sights_of(film)  # type: ignore[arg-type]
    assert len(list(film)) == 9, "the rest is not read"


def test_nothing_changes_before_the_whole_video_is_known() -> None:
    film = rows([INSIDE], [None], full=True)
    assert not FirstSights()
    assert FirstSights().apply(film[0]) == film[0]
