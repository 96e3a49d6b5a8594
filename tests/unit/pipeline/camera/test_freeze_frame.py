"""Which frames stand for somebody who is away."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from engines.frames import Rect
from pipeline.camera.framing import EYES_IN_BOX
from pipeline.camera.freeze_frame import BEST, FreezeFrame, still_quality
from pipeline.people import Source

CROP = Rect(400, 100, 480, 540)
FACE = Rect(590, 250, 100, 130)


def quality(face: Rect = FACE, other: Rect | None = None, *, inside: bool = True, source: Source = "detected") -> int:
    return still_quality(CROP, face, other, inside=inside, source=source)


def still(quality: int, time: float, person: int = 1) -> FreezeFrame:
    return FreezeFrame(round(1000 * time), time, person, CROP, FACE, 200.0, quality)


def test_a_face_alone_in_the_middle_is_best_and_each_fault_makes_it_worse() -> None:
    assert quality() == quality(other=Rect(100, 250, 100, 130)) == BEST
    aside, at_edge = Rect(740, 250, 100, 130), Rect(320, 250, 100, 130)
    assert quality(aside) == quality(other=at_edge) == quality(source="tracked") == BEST - 1
    assert quality(aside, at_edge, source="tracked") == BEST - 3 == 0


def test_a_face_that_the_frame_cuts_is_worse_than_a_whole_one() -> None:
    assert quality(Rect(590, 40, 100, 130)) == BEST - 1


def test_nothing_is_worse_than_half_a_face_or_two_people() -> None:
    assert quality(inside=False) == 0
    assert quality(other=Rect(450, 250, 100, 130)) == 0


def test_the_latest_of_the_best_frames_is_kept() -> None:
    assert still(2, 1.0).is_replaced_by(still(2, 1.1))
    assert still(2, 1.0).is_replaced_by(still(3, 1.1))
    assert not still(3, 1.0).is_replaced_by(still(2, 1.1))


def test_an_old_frame_gives_way_to_a_usable_one_or_to_another_person() -> None:
    assert still(3, 1.0).is_replaced_by(still(1, 7.0))
    assert not still(3, 1.0).is_replaced_by(still(0, 7.0))
    assert still(3, 1.0).is_replaced_by(still(0, 1.1, person=2))


def test_a_closer_crop_keeps_the_eyes_where_they_are() -> None:
    wide = still(3, 1.0)
    close = wide.closer(2 * FACE.h / CROP.h)
    eyes = FACE.y + EYES_IN_BOX * FACE.h
    assert FACE.h / close.h == pytest.approx(2 * FACE.h / CROP.h, abs=1e-3)
    assert close.w / close.h == pytest.approx(CROP.w / CROP.h)
    assert (eyes - close.y) / close.h == pytest.approx((eyes - CROP.y) / CROP.h, abs=1e-3)
    assert (FACE.cx - close.x) / close.w == pytest.approx((FACE.cx - CROP.x) / CROP.w, abs=1e-3)


def test_a_closer_crop_is_no_narrower_than_the_frame_is_sharp_for() -> None:
    assert still(3, 1.0).closer(0.99).w == pytest.approx(200.0)


@pytest.mark.parametrize("share", [0.1, FACE.h / CROP.h, 1.03 * FACE.h / CROP.h])
def test_a_still_is_not_made_wider_or_hardly_closer(share: float) -> None:
    assert still(3, 1.0).closer(share) == CROP


def test_a_closer_crop_of_a_face_at_the_edge_stays_inside() -> None:
    at_edge = replace(still(3, 1.0), face=Rect(830, 40, 200, 130))
    close = at_edge.closer(2 * 130 / CROP.h)
    assert close.w < CROP.w
    assert close.x + close.w <= CROP.x + CROP.w
    assert close.y >= CROP.y


def test_a_still_is_restored_from_its_state() -> None:
    wide = still(3, 1.0)
    assert FreezeFrame.restored(json.loads(json.dumps(wide.state()))) == wide
