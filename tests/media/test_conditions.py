"""Two people under hard conditions: both are found, keep their sides, and their tiles show their faces."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from engines.frames import Rect
from tests.support.drawn.conditions import CONDITIONS
from tests.support.drawn.scenes import Drawing
from tests.support.drawn.sightings import sightings
from tests.support.drawn.verdicts import Verdict, process, resolved, shown

SIDES = {"left": "A", "right": "B"}
IN_FULL = ("half a second", "5 frames a second", "portrait phone, turned by metadata", "edge of a fisheye")


def _holds_face(tile: Mapping[str, Any], face: Rect) -> bool:
    """Whether the crop holds the middle of the face, and is no wider than ten faces."""
    x, y, w, h = tile["crop"]
    return x < face.cx < x + w and y < face.cy < y + h and w < 10 * face.w


def _share_on_face(drawing: Drawing, verdict: Verdict, side: str, name: str) -> float:
    looks = [_holds_face(row[side], drawing.truth(n)[name]) for n, row in enumerate(verdict.rows) if row[side]]
    return sum(looks) / len(verdict.rows)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_both_people_are_found_on_their_sides(condition: str, tmp_path: Path) -> None:
    drawing = CONDITIONS[condition]
    verdict = resolved(drawing, sightings(drawing.write(tmp_path / "drawn.mp4")))
    assert verdict.identity["people_seen"] == 2
    assert not verdict.wrong
    assert verdict.missed < 0.1
    assert all(shown(verdict.rows[-1][side], drawing.truth(drawing.count - 1)) == SIDES[side] for side in SIDES)


@pytest.mark.parametrize("condition", IN_FULL)
def test_tiles_show_their_faces(condition: str, tmp_path: Path) -> None:
    drawing = CONDITIONS[condition]
    verdict = process(drawing, tmp_path)
    assert not verdict.wrong
    for side, name in SIDES.items():
        assert _share_on_face(drawing, verdict, side, name) > 0.95, side
