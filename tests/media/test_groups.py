"""Three or four people, posters and photographs: the tiles show the two who are meant, at the latest after a while."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.drawn.groups import GROUPS, SETTLED_S
from tests.support.drawn.sightings import sightings
from tests.support.drawn.verdicts import process, resolved, shown


@pytest.mark.parametrize("group", GROUPS)
def test_the_tiles_show_the_two_who_are_meant(group: str, tmp_path: Path) -> None:
    drawing = GROUPS[group]
    verdict = resolved(drawing, sightings(drawing.write(tmp_path / "drawn.mp4")))
    assert all(until < SETTLED_S for _, until in verdict.wrong), verdict.wrong
    assert [shown(verdict.rows[-1][side], drawing.truth(drawing.count - 1)) for side in ("left", "right")] == ["A", "B"]
    assert not verdict.wrong or verdict.confidence < 0.9


@pytest.mark.parametrize("group", [name for name in GROUPS if name.startswith("a p") and "low light" not in name])
def test_a_picture_in_good_light_is_never_one_of_them(group: str, tmp_path: Path) -> None:
    drawing = GROUPS[group]
    verdict = resolved(drawing, sightings(drawing.write(tmp_path / "drawn.mp4")))
    assert not verdict.wrong
    assert not verdict.doubts


def test_a_picture_that_was_taken_for_a_person_is_not_shown(tmp_path: Path) -> None:
    """In low light it is told from a living face after seconds; then these are rendered again."""
    drawing = GROUPS["a poster in low light"]
    verdict = process(drawing, tmp_path)
    assert verdict.identity["replaced_people"]
    assert not verdict.wrong
    assert [row["left"]["source"] for row in verdict.rows[:12]] == ["frozen"] * 12
