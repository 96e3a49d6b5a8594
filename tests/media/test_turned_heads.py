"""People whose face is lost: the crop stays on them while they are there, and no longer."""

import json

import pytest

from pipeline.people import Row
from tests.support.recordings import still, walk
from tests.support.turned_heads import (
    FPS,
    HEIGHT,
    WIDTH,
    Person,
    analysis,
    follow,
    head_of,
    looks_down,
    raises_a_hand,
    turns_away,
)

HOPPER = still(0.72)


def away_after(rows: list[Row], t: float) -> float:
    """How long after ``t`` the right person is followed."""
    followed = [row.t for row in rows if row.t >= t and row.right.face is not None]
    return max(followed, default=t) - t


def shows_head(row: Row, person: Person) -> bool:
    """The right tile shows the whole of the person's head."""
    (x, y), crop, half = head_of(person, row.t), row.right.crop, 0.1 * HEIGHT
    across = crop.x <= x - half and x + half <= crop.x + crop.w
    return across and crop.y <= y - half and y + half <= crop.y + crop.h


@pytest.mark.parametrize("gesture", [turns_away, looks_down, raises_a_hand])
def test_the_crop_stays_on_somebody_whose_face_is_lost(gesture):
    people = [Person(still(0.28)), Person(HOPPER, gesture, begin=1.2, end=4.0)]
    rows, followed = follow(5.2, people)
    assert all(row.right.person == 2 and row.left.person == 1 for row in rows[20:])
    assert all(shows_head(row, people[1]) for row in rows[20:])
    sources = {row.right.source for row in rows[20:]}
    assert "head" in sources and not sources & {"held", "frozen", "placeholder"}
    assert rows[-1].right.source in ("detected", "tracked", "reidentified")
    presence = followed.people.summary()["right"]["presence"]
    assert presence["head_seen"] > 0.2 and presence["away"] == 0
    assert sum(presence.values()) == pytest.approx(1, abs=1e-3)
    assert followed.people.summary()["left"]["presence"]["face_seen"] == 1


def test_nobody_is_looked_for_while_both_faces_are_seen():
    rows, followed = follow(3.0, [Person(still(0.28)), Person(HOPPER)])
    assert followed.views.looks == 0
    assert {row.right.source for row in rows[20:]} <= {"detected", "tracked", "reidentified"}


def test_somebody_who_walks_off_turned_away_is_followed_to_the_edge_and_no_further():
    def path(t: float) -> tuple[float, float]:
        return walk(0.72, 1.4, 2.0)(max(0.0, t - 2.5))

    person = Person(path, turns_away, begin=1.0, end=1e9)
    rows, _ = follow(4.5, [Person(still(0.28)), person])
    inside = [row for row in rows if row.t >= 2.5 and head_of(person, row.t)[0] < 0.9 * WIDTH]
    followed = [row for row in inside if row.right.face is not None]
    assert len(followed) == len(inside) > 10 and any(row.right.source == "head" for row in inside)
    assert all(abs(row.right.face.cx - head_of(person, row.t)[0]) < 0.1 * HEIGHT for row in followed)
    left_t = next(n / FPS for n in range(1000) if head_of(person, n / FPS)[0] > WIDTH)
    assert away_after(rows, left_t) < 1


@pytest.mark.parametrize("gestures", [(turns_away, turns_away), (None, turns_away)])
def test_people_who_pass_each_other_turned_away_are_not_mistaken(gestures):
    def path(a: float, b: float):
        return lambda t: walk(a, b, 1.0)(max(0.0, t - 2.0))

    ends = (path(0.28, 0.72), path(0.72, 0.28))
    people = [Person(end, gesture, begin=0.8, end=4.0) for end, gesture in zip(ends, gestures, strict=True)]
    rows, _ = follow(5.6, people)
    for row in rows[20:]:
        for tile, person in ((row.left, people[0]), (row.right, people[1])):
            assert tile.face is None or abs(tile.face.cx - head_of(person, row.t)[0]) < 0.2 * HEIGHT
    assert rows[-1].left.face and rows[-1].right.face
    assert any(row.right.source == "head" for row in rows if row.t < 2.2)


@pytest.mark.parametrize("gone", [2.2, 3.0])
def test_the_wall_behind_somebody_is_not_followed(gone):
    person = Person(HOPPER, turns_away, begin=1.0, end=1e9, gone=gone)
    rows, _ = follow(4.5, [Person(still(0.28)), person])
    assert away_after(rows, 1.8) > 0.2
    assert away_after(rows, gone) < 1


def test_an_analysis_that_stops_and_goes_on_decides_the_same():
    people = [Person(still(0.28)), Person(HOPPER, turns_away, begin=1.0, end=3.5)]
    whole, _ = follow(5.0, people)
    first, second = analysis(), analysis()
    batches = 24
    rows = first.rows_until(4 * batches, people)
    second.analysis.restore(json.loads(json.dumps(first.analysis.state([]))))
    rows += second.rows(5.0, people, first=len(rows))
    assert rows == whole
