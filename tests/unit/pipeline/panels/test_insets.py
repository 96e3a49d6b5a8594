"""Pictures in pictures, drawn as in ``test_panel_detector``."""

from __future__ import annotations

import functools
import math

import pytest

from pipeline.panels.panel_detector import PanelDetector
from tests.unit.pipeline.panels.test_panel_detector import (
    BLACK,
    HEIGHT,
    WIDTH,
    assert_inside,
    face,
    gallery,
    texture,
    watch,
)

ROOM = [(0, 0, WIDTH, HEIGHT)]
INSETS = {
    "top right": (340, 20, 120, 90),
    "bottom left": (20, 160, 130, 90),
    "bottom right": (330, 150, 130, 100),
}


@functools.cache
def picture_in_picture(i, inset):
    x, y, w, h = inset
    frame = gallery(i, ROOM, BLACK)
    frame[y - 2 : y + h + 2, x - 2 : x + w + 2] = 240
    frame[y : y + h, x : x + w] = texture(900 + i // 8, w, h, 90)
    return frame


def middle(inset, height=45):
    x, y, w, h = inset
    return face(x + w / 2, y + h / 2, height)


@pytest.mark.parametrize("name", INSETS)
def test_an_inset_is_a_panel_and_so_is_the_picture_beside_it(name):
    inset = x, y, w, h = INSETS[name]
    speaker = face(245, 140, 90)
    detector = PanelDetector()
    watch(detector, [picture_in_picture(i % 40, inset) for i in range(300)], [speaker, middle(inset)])
    beside, small = detector.at(11.9)
    assert_inside([small], [inset])
    assert beside.x <= speaker.x
    assert speaker.x + speaker.w <= beside.x + beside.w
    apart_x = beside.x * WIDTH >= x + w or (beside.x + beside.w) * WIDTH <= x
    apart_y = beside.y * HEIGHT >= y + h or (beside.y + beside.h) * HEIGHT <= y
    assert apart_x or apart_y


def test_an_inset_that_ends_is_followed():
    inset = INSETS["top right"]
    speaker = face(240, 140, 90)
    detector = PanelDetector()
    watch(detector, [picture_in_picture(i % 40, inset) for i in range(300)], [speaker, middle(inset)])
    watch(detector, [gallery(i, ROOM, BLACK) for i in range(75)], [speaker], 12.0)
    assert len(detector.at(11.0)) == 2
    assert detector.at(14.9) == ()


def test_what_moves_with_a_person_is_no_inset():
    """A chair, a screen that is carried, or the surroundings of somebody who is put into another picture."""
    detector = PanelDetector()
    for i in range(0, 400, 5):
        inset = round(340 + 12 * math.sin(i / 15)), 20, 120, 90
        watch(detector, [picture_in_picture(i % 40, inset)], [face(240, 140, 90), middle(inset)], i / 25)
        assert detector.at(i / 25) == ()


def test_a_picture_on_the_wall_without_a_face_is_no_inset():
    inset = INSETS["top right"]
    detector = PanelDetector()
    watch(detector, [picture_in_picture(i % 40, inset) for i in range(300)], [face(240, 140, 90)])
    assert detector.at(11.9) == ()


def test_somebody_in_front_of_a_picture_is_in_no_inset():
    x, y, w, h = inset = INSETS["top right"]
    frames = [picture_in_picture(i % 40, inset) for i in range(300)]
    frames = [frame.copy() for frame in frames]
    for i, frame in enumerate(frames):
        frame[y + h // 2 :, x + w // 2 - 25 : x + w // 2 + 25] = texture(700 + i // 8, 50, HEIGHT - y - h // 2, 60)
    detector = PanelDetector()
    watch(detector, frames, [face(240, 140, 90), middle(inset)])
    assert detector.at(11.9) == ()
