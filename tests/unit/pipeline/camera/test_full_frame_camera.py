"""One person alone fills the frame."""

from __future__ import annotations

import numpy as np
import pytest

from engines.frames import Rect
from pipeline.camera.extension import picture_in_tile
from pipeline.camera.planner import CameraOperator
from pipeline.people import Row, Scene, Seen
from pipeline.settings import CameraSettings

FPS = 30


def film(
    faces: list[Rect | None], *, size: tuple[int, int] = (1920, 1080), cut_at: int = -1, panels: tuple[Rect, ...] = ()
) -> list[Row]:
    """Scenes of one person in the left tile: None until they are seen, then without a box while they are away."""
    known, scenes = False, []
    for i, box in enumerate(faces):
        known = known or box is not None
        scenes.append(Scene(i, i / FPS, i == cut_at, Seen(1, box) if known else None, None, panels=panels))
    camera = CameraOperator(CameraSettings(), missing="hold", lookahead_s=0.8, width=size[0], height=size[1])
    return camera.observe(scenes) + camera.finish()


def face(cx: float, cy: float, height: float) -> Rect:
    return Rect(cx - 0.39 * height, cy - height / 2, 0.78 * height, height)


def fulls(rows: list[Row]) -> list[Rect]:
    crops = [row.full for row in rows if row.full is not None]
    assert len(crops) == len(rows)
    return crops


def holds(crop: Rect, box: Rect) -> bool:
    across = crop.x <= box.x and box.x + box.w <= crop.x + crop.w
    return across and crop.y <= box.y and box.y + box.h <= crop.y + crop.h


def test_a_face_of_ordinary_size_gets_the_whole_picture() -> None:
    assert set(fulls(film([face(700, 430, 250)] * 60))) == {Rect(0, 0, 1920, 1080)}


@pytest.mark.parametrize("size", [(1080, 1920), (600, 600), (1440, 1080), (3840, 1080), (641, 483)])
def test_any_picture_is_filled_around_the_face(size: tuple[int, int]) -> None:
    width, height = size
    box = face(0.4 * width, 0.35 * height, 0.2 * min(size))
    (crop,) = set(fulls(film([box] * 60, size=size)))
    assert crop.w / crop.h == pytest.approx(16 / 9)
    assert min(crop.x, crop.y) >= 0
    assert crop.x + crop.w <= width
    assert crop.y + crop.h <= height
    assert holds(crop, box)


def test_a_face_too_large_for_a_wide_crop_is_shown_whole_with_an_extension() -> None:
    """A phone held upright, close to the face."""
    box = face(540, 800, 700)
    (crop,) = set(fulls(film([box] * 60, size=(1080, 1920))))
    assert holds(crop, box)
    assert crop.w / crop.h < 16 / 9
    assert picture_in_tile(crop, 9 / 16) is not None


def test_a_close_up_fills_the_output() -> None:
    box = face(300, 270, 240)
    (crop,) = set(fulls(film([box] * 60, size=(600, 600))))
    assert crop.w / crop.h == pytest.approx(16 / 9)
    assert holds(crop, box)


def test_a_far_face_is_enlarged_within_the_limit() -> None:
    (crop,) = set(fulls(film([face(900, 400, 40)] * 60)))
    assert 1080 / crop.h == pytest.approx(CameraSettings().upscale_max)
    assert holds(crop, face(900, 400, 40))


def test_a_walk_is_followed_smoothly() -> None:
    faces: list[Rect | None] = [face(400 + 8 * min(max(i - 30, 0), 120), 400, 100) for i in range(200)]
    crops = fulls(film(faces))
    assert all(holds(crop, box) for crop, box in zip(crops, faces, strict=True) if box)
    centres = np.array([crop.cx / crop.w for crop in crops])
    assert np.abs(np.diff(centres, 2)).max() * FPS**2 <= CameraSettings().acceleration_max * 1.1


def test_the_camera_waits_live_for_somebody_who_leaves_and_is_wide_in_a_shot_without_them() -> None:
    crops = fulls(film([face(900, 400, 60)] * 60 + [None] * 120, cut_at=120))
    assert len(set(crops[:120])) == 1
    assert set(crops[120:]) == {Rect(0, 0, 1920, 1080)}


def test_bars_around_the_picture_stay_out() -> None:
    picture = Rect(0, 140, 1920, 800)
    (crop,) = set(fulls(film([face(700, 430, 250)] * 60, panels=(picture,))))
    assert crop.y >= picture.y
    assert crop.y + crop.h <= picture.y + picture.h


def test_nobody_gives_the_whole_picture() -> None:
    assert set(fulls(film([None] * 40))) == {Rect(0, 0, 1920, 1080)}


def test_two_people_have_two_tiles_from_the_second_one_on() -> None:
    scenes = [
        Scene(i, i / FPS, False, Seen(1, face(500, 400, 200)), Seen(2, face(1400, 400, 200)) if i >= 90 else None)
        for i in range(150)
    ]
    camera = CameraOperator(CameraSettings(), missing="hold", lookahead_s=0.8, width=1920, height=1080)
    rows = camera.observe(scenes) + camera.finish()
    assert all(row.full is not None for row in rows[:60])
    assert all(row.full is None for row in rows[90:])
