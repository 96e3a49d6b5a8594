"""Frames of other sizes on the canvas, and cameras that frame each in its own pixels."""

from __future__ import annotations

import pytest

from engines.frames import Rect
from pipeline.camera.planner import CameraOperator
from pipeline.canvas import Placement
from pipeline.people import Face, Scene, Seen
from pipeline.settings import CameraSettings

CANVAS = 1280, 720


@pytest.mark.parametrize("display", [(320, 180), (2560, 1440), (360, 640), (1280, 720), (640, 480)])
def test_what_goes_to_the_canvas_comes_back(display: tuple[int, int]) -> None:
    place = Placement.of(display, CANVAS)
    width, height = display
    box = Rect(0.25 * width, 0.5 * height, 0.1 * width, 0.2 * height)
    face = place.face_on_canvas(Face(box, 0.9, ((box.x, box.y), (box.cx, box.cy))))
    assert face.box.x >= 0
    assert face.box.x + face.box.w <= CANVAS[0]
    assert face.box.y >= 0
    assert face.box.y + face.box.h <= CANVAS[1]
    assert face.box.w / face.box.h == pytest.approx(box.w / box.h)
    assert face.box.h / face.scale == pytest.approx(box.h)
    assert place.points_in_frame(face.landmarks)[1] == pytest.approx((box.cx, box.cy))
    scene = place.scene_in_frame(Scene(0, 0.0, True, Seen(1, face.box), Seen(2, None), (face.box,)), display)
    assert scene.frame == display
    assert scene.left is not None and scene.left.box is not None
    assert (scene.left.box.x, scene.left.box.h) == pytest.approx((box.x, box.h))
    assert scene.others[0].w == pytest.approx(box.w)
    assert scene.right == Seen(2, None)


def test_a_tall_frame_lies_in_the_middle() -> None:
    assert Placement.of((360, 640), CANVAS) == Placement(1.125, (1280 - 405) / 2, 0.0)


def scenes(count: int, first: int, frame: tuple[int, int] | None, scale: float) -> list[Scene]:
    """Two people who sit still."""

    def seen(person: int, x: float) -> Seen:
        return Seen(person, Rect(x * scale, 200 * scale, 120 * scale, 150 * scale))

    return [
        Scene(n, n / 10, n == first and first > 0, seen(1, 260), seen(2, 900), (), frame)
        for n in range(first, first + count)
    ]


def operator() -> CameraOperator:
    return CameraOperator(CameraSettings(), missing="hold", lookahead_s=0.5, width=1280, height=720)


def test_each_part_is_framed_as_by_itself_and_a_restored_operator_goes_on() -> None:
    """Half as large in the middle, as it is when a call loses bandwidth; the state is taken in that part."""
    parts = [scenes(12, 0, None, 1.0), scenes(12, 12, (640, 360), 0.5), scenes(12, 24, None, 1.0)]
    whole, rows = operator(), []
    for part in parts:
        rows += whole.observe(part)
    rows += whole.finish()
    assert [row.frame for row in rows] == [None] * 12 + [(640, 360)] * 12 + [None] * 12
    for row in rows[12:24]:
        assert row.left.crop.x + row.left.crop.w <= 640
        assert row.left.crop.y + row.left.crop.h <= 360
    assert rows[5].left.crop == rows[30].left.crop
    begun, resumed = operator(), operator()
    early = begun.observe([*parts[0], *parts[1][:6]])
    resumed.restore(begun.state())
    late = resumed.observe([*parts[1][6:], *parts[2]])
    assert early + late + resumed.finish() == rows
