"""What a tile shows before its person is seen."""

from __future__ import annotations

from engines.frames import Rect
from pipeline.people import Row, Tile
from pipeline.rendering.first_sight import FirstSights

CROP = Rect(100, 0, 480, 540)


def shown(face: Rect | None, person: int | None = 1) -> Tile:
    return Tile(person, face, CROP, "detected" if face else "held")


def rows(left: list[Rect | None], right: list[Rect | None]) -> list[Row]:
    return [Row(40 * i, i / 25, shown(a), shown(b, 2)) for i, (a, b) in enumerate(zip(left, right, strict=True))]


INSIDE, CUT_OFF = Rect(300, 100, 80, 100), Rect(60, 100, 80, 100)


def test_a_tile_shows_the_first_frame_in_which_its_person_is_wholly_seen() -> None:
    film = rows([INSIDE] * 5, [None, None, CUT_OFF, INSIDE, None])
    sights = FirstSights.of(film)
    still = Tile(2, None, CROP, "frozen", 120)
    assert [sights.apply(row).right for row in film] == [still, still, *(row.right for row in film[2:])]
    assert [sights.apply(row).left for row in film] == [row.left for row in film]


def test_a_person_who_never_appears_leaves_the_tile_as_it_is() -> None:
    film = rows([INSIDE] * 3, [None] * 3)
    assert [FirstSights.of(film).apply(row) for row in film] == film


def test_nothing_changes_before_the_whole_video_is_known() -> None:
    film = rows([INSIDE], [None])
    assert FirstSights.of(()).apply(film[0]) == film[0]
