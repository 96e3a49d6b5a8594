"""Panels of drawn recordings: noise that moves, borders that stay."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from engines.frames import Rect
from pipeline.panels.panel_detector import PanelDetector, luma_size

WIDTH, HEIGHT = 480, 270
BLACK, GREY = 16, 50


def texture(seed, width, height, level=120):
    """Smooth noise with the look of a room, never the same twice."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(level, 30, (height // 24 + 2, width // 24 + 2)).astype(np.float32)
    image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(image + rng.normal(0, 2, image.shape), 0, 255).astype(np.uint8)


def gallery(i, panels, background):
    """Frame ``i`` of a recording with these panels, (x, y, w, h) in pixels."""
    frame = np.full((HEIGHT, WIDTH), background, np.uint8)
    for n, (x, y, w, h) in enumerate(panels):
        frame[y : y + h, x : x + w] = texture(100 * n + i // 8, w, h, 130 + 50 * n)
    return frame


def face(x, y, height=50):
    """A face with its centre at these pixels, in parts of the frame."""
    width = 0.78 * height
    return Rect((x - width / 2) / WIDTH, (y - height / 2) / HEIGHT, width / WIDTH, height / HEIGHT)


def faces_in(panels):
    return [face(x + w / 2, y + h / 2) for x, y, w, h in panels]


def watch(detector, frames, faces, start_s=0.0):
    for i, frame in enumerate(frames):
        t = start_s + i / 25
        if i % 3 == 0:
            detector.note_faces(t, faces)
        if detector.is_due(t):
            detector.observe(t, frame)


def assert_inside(found, panels, slack=8):
    """The panels found are inside the true ones, and hardly smaller."""
    assert len(found) == len(panels)
    boxes = sorted((p.x * WIDTH, p.y * HEIGHT, (p.x + p.w) * WIDTH, (p.y + p.h) * HEIGHT) for p in found)
    for box, (x, y, w, h) in zip(boxes, sorted(panels), strict=True):
        for inner, outer in ((box[0], x), (box[1], y)):
            assert outer <= inner + 1e-6 <= outer + slack
        for inner, outer in ((box[2], x + w), (box[3], y + h)):
            assert outer - slack <= inner - 1e-6 <= outer


GALLERIES = {
    "side by side": ([(0, 0, 240, 270), (240, 0, 240, 270)], BLACK),
    "with gutters": ([(5, 10, 230, 250), (245, 10, 230, 250)], BLACK),
    "wide panels": ([(0, 67, 240, 136), (240, 67, 240, 136)], BLACK),
    "on grey": ([(60, 40, 150, 190), (250, 40, 190, 190)], GREY),
    "letterbox": ([(0, 34, 480, 202)], BLACK),
    "pillarbox": ([(60, 0, 360, 270)], BLACK),
}


@pytest.mark.parametrize("name", GALLERIES)
def test_panels_are_found_within_a_moment(name):
    panels, background = GALLERIES[name]
    detector = PanelDetector()
    watch(detector, [gallery(i, panels, background) for i in range(15)], faces_in(panels))
    assert_inside(detector.at(0.0), panels)


@pytest.mark.parametrize("name", ["letterbox", "pillarbox"])
def test_bars_are_found_before_anybody_appears(name):
    panels, background = GALLERIES[name]
    detector = PanelDetector()
    watch(detector, [gallery(i, panels, background) for i in range(15)], [])
    assert_inside(detector.at(0.0), panels)


@pytest.mark.parametrize("seed", range(5))
def test_an_undivided_frame_has_no_panels(seed):
    detector = PanelDetector()
    room = [(0, 0, WIDTH, HEIGHT)]
    watch(detector, [gallery(8 * seed + i, room, BLACK) for i in range(60)], [face(120, 120), face(360, 120)])
    assert detector.at(2.0) == ()


def test_a_plain_frame_has_no_panels():
    detector = PanelDetector()
    watch(detector, [np.full((HEIGHT, WIDTH), GREY, np.uint8)] * 30, [face(120, 120)])
    assert detector.at(1.0) == ()


def test_a_door_behind_a_person_is_no_border():
    frames = []
    for i in range(40):
        frame = gallery(i, [(0, 0, WIDTH, HEIGHT)], BLACK)
        frame[:, 200:203] = 230
        frame[80:, 150:260] = texture(i, 110, HEIGHT - 80, 60)
        frames.append(frame)
    detector = PanelDetector()
    watch(detector, frames, [face(200, 110), face(400, 110)])
    assert detector.at(1.5) == ()


@pytest.mark.parametrize("edge", [30, 75, 165, 200])
def test_a_straight_edge_inside_one_panel_is_no_border(edge):
    """A post or window frame of the room, from the top of the panel to its bottom."""
    panels, background = GALLERIES["wide panels"]
    frames = [gallery(i, panels, background) for i in range(40)]
    for frame in frames:
        frame[67:203, edge : edge + 3] = 20
    detector = PanelDetector()
    watch(detector, frames, faces_in(panels))
    assert_inside(detector.at(1.5), panels)


def test_a_door_frame_around_a_person_is_no_panel():
    frames = [gallery(i, [(0, 0, WIDTH, HEIGHT)], BLACK) for i in range(60)]
    for frame in frames:
        frame[30:34, 60:180] = frame[30:, 60:64] = frame[30:, 176:180] = 235
    detector = PanelDetector()
    watch(detector, frames, [face(120, 100), face(360, 100)])
    assert detector.at(2.0) == ()


def test_glass_between_two_people_in_a_room_is_no_border():
    frames = [gallery(i, [(0, 0, WIDTH, HEIGHT)], BLACK) for i in range(60)]
    for i, frame in enumerate(frames):
        frame[:, 238:241] = 235
        frame[190:230, 180:300] = texture(500 + i, 120, 40, 80)  # a table in front of it
    detector = PanelDetector()
    watch(detector, frames, [face(120, 100), face(360, 100)])
    assert detector.at(2.0) == ()


@pytest.mark.parametrize("cut", [0.15, 0.25])
def test_a_panel_may_cut_off_chins(cut):
    panels, background = GALLERIES["wide panels"]
    detector = PanelDetector()
    faces = [face(x + w / 2, y + h - (0.5 - cut) * 120, 120) for x, y, w, h in panels]
    watch(detector, [gallery(i, panels, background) for i in range(15)], faces)
    assert_inside(detector.at(0.0), panels)


def test_faces_count_that_are_found_between_samples():
    panels, background = GALLERIES["wide panels"]
    detector = PanelDetector()
    frames = [gallery(i, panels, background) for i in range(15)]
    detector.note_faces(0.0, faces_in(panels))
    for i, frame in enumerate(frames):
        if detector.is_due(i / 25):
            detector.observe(i / 25, frame)
    assert_inside(detector.at(0.0), panels)


def test_a_panel_that_appears_with_its_person_is_found_without_a_cut():
    panels, background = GALLERIES["wide panels"]
    detector = PanelDetector()
    watch(detector, [gallery(i, panels[:1], background) for i in range(30)], faces_in(panels[:1]))
    watch(detector, [gallery(i, panels, background) for i in range(60)], faces_in(panels), 1.2)
    assert_inside(detector.at(0.5), panels[:1])
    assert_inside(detector.at(3.5), panels)


def test_panels_that_end_without_a_cut_are_followed():
    panels, background = GALLERIES["with gutters"]
    detector = PanelDetector()
    watch(detector, [gallery(i, panels, background) for i in range(50)], faces_in(panels))
    watch(detector, [gallery(i, [(0, 0, WIDTH, HEIGHT)], BLACK) for i in range(60)], [face(240, 130)], 2.0)
    assert_inside(detector.at(1.0), panels)
    assert detector.at(4.3) == ()


def test_a_caption_divides_nothing():
    frames = [gallery(i, [(0, 0, WIDTH, HEIGHT)], BLACK) for i in range(100)]
    for frame in frames[40:]:
        frame[200:240, 10:470] = 255
    detector = PanelDetector()
    watch(detector, frames, [face(120, 100), face(360, 100)])
    assert detector.at(3.9) == ()


def test_a_cut_from_a_gallery_to_one_person_ends_the_panels():
    panels, background = GALLERIES["side by side"]
    detector = PanelDetector()
    watch(detector, [gallery(i, panels, background) for i in range(50)], faces_in(panels))
    detector.begin_shot(2.0)
    watch(detector, [gallery(i, [(0, 0, WIDTH, HEIGHT)], BLACK) for i in range(25)], [face(240, 130)], 2.0)
    assert_inside(detector.at(1.9), panels)
    assert detector.at(2.0) == ()


def test_panels_that_grow_without_a_cut_are_followed():
    before, background = GALLERIES["on grey"]
    after, _ = GALLERIES["with gutters"]
    detector = PanelDetector()
    watch(detector, [gallery(i, before, background) for i in range(50)], faces_in(before))
    watch(detector, [gallery(i, after, background) for i in range(75)], faces_in(after), 2.0)
    assert_inside(detector.at(1.0), before)
    assert_inside(detector.at(4.9), after)


def test_a_letterbox_holds_while_the_picture_is_dark():
    panels, background = GALLERIES["letterbox"]
    detector = PanelDetector()
    watch(detector, [gallery(i, panels, background) for i in range(25)], faces_in(panels))
    detector.begin_shot(1.0)
    dark = np.full((HEIGHT, WIDTH), BLACK, np.uint8)
    dark[100:170, 200:280] = 120
    watch(detector, [dark] * 25, faces_in(panels), 1.0)
    assert_inside(detector.at(1.5), panels)


def test_answers_are_the_same_after_a_resume():
    before, background = GALLERIES["on grey"]
    after, _ = GALLERIES["with gutters"]
    frames = [gallery(i, before if i < 40 else after, background) for i in range(110)]
    detector, resumed = PanelDetector(), PanelDetector()
    watch(detector, frames[:47], faces_in(before))
    resumed.restore(json.loads(json.dumps(detector.state())))
    for one in (detector, resumed):
        watch(one, frames[47:], faces_in(after), 47 / 25)
    assert resumed.state() == detector.state()
    assert [resumed.at(t / 10) for t in range(45)] == [detector.at(t / 10) for t in range(45)]


@pytest.mark.parametrize(
    ("size", "expected"), [((1920, 1080), (480, 270)), ((1080, 1920), (270, 480)), ((64, 64), (64, 64))]
)
def test_samples_are_small(size, expected):
    assert luma_size(*size) == expected


def test_stripes_up_to_the_edge_are_no_bars():
    stripes = np.broadcast_to(np.where(np.arange(WIDTH) // 2 % 2, 40, 90).astype(np.uint8), (HEIGHT, WIDTH))
    detector = PanelDetector()
    watch(detector, [stripes] * 30, [])
    assert detector.at(1.0) == ()
