"""Where people look, and the room that they get there."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from engines.frames import Rect
from pipeline.camera.gaze import GazeMemory, gaze
from pipeline.people import Face, Observation, Scene, Seen
from tests.support.cameras import acceleration, face, film, lefts, scene


def looking(box, aside):
    """A face whose nose is ``aside`` eye distances from the middle between its eyes."""
    eyes = 0.4 * box.w
    points = [
        (-eyes / 2, 0.0),
        (eyes / 2, 0.0),
        (aside * eyes, 0.2 * box.h),
        (-0.15 * box.w, 60.0),
        (0.15 * box.w, 60.0),
    ]
    return Face(box, 0.9, tuple((box.cx + x, box.cy + y) for x, y in points))


@pytest.mark.parametrize(("aside", "expected"), [(0, 0), (0.25, 0.5), (-0.25, -0.5), (2, 1), (-2, -1)])
def test_the_nose_says_where_a_face_looks(aside, expected):
    assert gaze(looking(face(500), aside)) == pytest.approx(expected)


def test_a_profile_whose_eyes_coincide_looks_aside():
    box = face(500)
    points = ((500.0, 0.0), (500.0, 0.0), (540.0, 0.0), (520.0, 0.0), (520.0, 0.0))
    assert gaze(Face(box, 0.9, points)) == 1


def observed(memory, t, *faces):
    memory.note([Observation(int(t * 1000), t, faces)])


def test_people_of_a_scene_get_the_gaze_of_their_faces():
    memory = GazeMemory()
    observed(memory, 0.9, looking(face(500), 0.5), looking(face(1400), -0.5))
    observed(memory, 1.5, looking(face(500), -0.5))
    found = memory.added(Scene(1000, 1.0, False, Seen(1, face(510)), Seen(2, face(1390))))
    assert (found.left.gaze, found.right.gaze) == (1, -1)
    unknown = memory.added(Scene(1000, 1.0, False, Seen(1, face(900)), Seen(2, None)))
    assert (unknown.left.gaze, unknown.right.gaze) == (0, 0)


def test_gaze_is_the_same_after_a_resume():
    memory, resumed = GazeMemory(), GazeMemory()
    for i in range(40):
        observed(memory, i / 5, looking(face(500), np.sin(i)))
    resumed.restore(json.loads(json.dumps(memory.state())))
    scenes = [Scene(i, i / 30, False, Seen(1, face(500)), None) for i in range(240)]
    assert [resumed.added(s) for s in scenes] == [memory.added(s) for s in scenes]


def stares(i, look, box=None):
    plain = scene(i, box or face(700), face(1700))
    return replace(plain, left=replace(plain.left, gaze=look))


@pytest.mark.parametrize("side", [-1, 1])
def test_who_looks_aside_gets_room_there(side):
    crop = film([stares(i, 0.9 * side) for i in range(40)])[-1].left.crop
    assert 0.03 * crop.w < side * (crop.cx - 700) < 0.12 * crop.w


def test_who_looks_at_the_camera_is_in_the_centre():
    crop = film([stares(i, 0.2) for i in range(40)])[-1].left.crop
    assert crop.cx == pytest.approx(700, abs=0.02 * crop.w)


def test_looking_to_and_fro_does_not_move_the_camera():
    tiles = lefts(film([stares(i, float(np.sign(np.sin(i / 20)))) for i in range(300)]))
    assert acceleration(tiles).max() < 0.2
    assert np.ptp([t.crop.cx for t in tiles]) < 0.1 * tiles[0].crop.w


def test_a_face_at_the_edge_of_the_frame_stays_whole():
    box = Rect(5, 400, 200, 260)
    crop = film([stares(i, -1.0, box) for i in range(40)])[-1].left.crop
    assert crop.x <= 5
