"""Three or four people, posters and photographs: the tiles show the two who are meant, at the latest after a while."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.drawn.groups import GROUPS, SETTLED_S
from tests.support.drawn.sightings import sightings
from tests.support.drawn.verdicts import resolved, shown


@pytest.mark.parametrize("group", GROUPS)
def test_the_tiles_show_the_two_who_are_meant(group: str, tmp_path: Path) -> None:
    drawing = GROUPS[group]
    verdict = resolved(drawing, sightings(drawing.write(tmp_path / "drawn.mp4")))
    assert all(until < SETTLED_S for _, until in verdict.wrong), verdict.wrong
    assert [shown(verdict.rows[-1][side], drawing.truth(drawing.count - 1)) for side in ("left", "right")] == ["A", "B"]
    assert not verdict.wrong or verdict.confidence < 0.9
