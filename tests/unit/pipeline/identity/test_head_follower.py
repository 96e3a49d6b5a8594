"""Heads without a face: how long they are followed, and what ends that."""

import json
import math

import cv2
import numpy as np
import pytest

from engines.frames import Rect
from pipeline.identity.followed_head import DOUBT_S
from pipeline.identity.head_follower import FACELESS_S, STILL_S, HeadFollower
from pipeline.identity.lost_faces import LostFace
from pipeline.people import Face

WIDTH, HEIGHT, HZ = 640, 360, 10
SIZE = 60.0  # height of the face
NOWHERE = (-1e4, -1e4)


class World:
    """A head of noise on a path before a still wall; a face is seen there with a score, if any."""

    def __init__(self, path, score=lambda t: 0.0, size: float = SIZE) -> None:
        self.path, self.score, self.size = path, score, size
        rng = np.random.default_rng(2)
        self._wall = self._blurred(rng, HEIGHT, WIDTH)
        self._head = self._blurred(rng, 100, 80)
        self.looks = 0

    def frame(self, pts: int) -> np.ndarray:
        image = np.pad(self._wall, 200, "edge")
        x, y = (round(v) + 200 for v in self.path(pts / HZ))
        if 50 < x < WIDTH + 350 and 50 < y < HEIGHT + 350:
            image[y - 50 : y + 50, x - 40 : x + 40] = self._head
        return image

    def chip(self, pts: int, part: Rect, size: int) -> np.ndarray:
        self.looks += 1
        x, y, side = round(part.x) + 200, round(part.y) + 200, round(part.w)
        return cv2.resize(self.frame(pts)[y : y + side, x : x + side], (size, size), interpolation=cv2.INTER_AREA)

    def faces(self, pts: int, part: Rect, score: float) -> list[Face]:
        found = self.score(pts / HZ)
        box = around(*self.path(pts / HZ), self.size)
        return [Face(box, found, ((0.0, 0.0),) * 5)] if found >= score else []

    def lost(self, track: int = 1) -> LostFace:
        return LostFace(track, 10, around(*self.path(0), SIZE), 0.0, 0)

    @staticmethod
    def _blurred(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
        return cv2.GaussianBlur(rng.integers(0, 256, (height, width)).astype(np.uint8), (0, 0), 3) * 3


def around(x: float, y: float, h: float = SIZE) -> Rect:
    return Rect(x - 0.38 * h, y - h / 2, 0.76 * h, h)


def follow(world, seconds, others=lambda t: (), first=1, follower=None):
    """The head's box in each frame."""
    follower = follower or HeadFollower(world, WIDTH, HEIGHT)
    steps = range(first, round(seconds * HZ) + 1)
    return [follower.step(n, n / HZ, [world.lost()], others(n / HZ)).get(1) for n in steps]


def walking(t: float) -> tuple[float, float]:
    return 200 + 60 * t, 180 + 10 * math.sin(3 * t)


def sitting(t: float) -> tuple[float, float]:
    return 300 + 3 * math.sin(2 * t), 180.0


def test_a_moving_head_is_followed_without_any_face():
    world = World(walking)
    for n, box in enumerate(follow(world, 4), start=1):
        assert box is not None and math.dist((box.cx, box.cy), walking(n / HZ)) < 0.15 * SIZE
        assert box.h == SIZE


def test_a_head_that_is_gone_is_not_found_on_the_wall():
    world = World(lambda t: sitting(t) if t < 1 else NOWHERE)
    boxes = follow(world, 3)
    gone = 9 + round(DOUBT_S * HZ)
    assert all(boxes[:9]) and not any(boxes[gone:])


def test_a_head_leaves_with_the_frames_edge():
    boxes = follow(World(lambda t: (500 + 80 * t, 180)), 4)
    last = max(n for n, box in enumerate(boxes) if box)
    assert 1.2 < (last + 1) / HZ < 2.0
    assert not any(boxes[last + 1 :])


@pytest.mark.parametrize(("score", "seconds"), [(0.0, STILL_S), (0.3, 12.0)])
def test_a_still_head_is_believed_for_long_only_where_a_faint_face_is_seen(score, seconds):
    boxes = follow(World(sitting, lambda t: score), 12)
    assert sum(box is not None for box in boxes) / HZ == pytest.approx(seconds, abs=0.3)


def test_no_head_is_followed_forever_without_a_face():
    boxes = follow(World(lambda t: (300 + 60 * math.sin(t), 180)), 25)
    assert sum(box is not None for box in boxes) / HZ == pytest.approx(FACELESS_S, abs=0.3)


def test_a_clear_face_corrects_place_and_size():
    world = World(walking, lambda t: 0.9 if t > 1 else 0.0, size=1.4 * SIZE)
    boxes = follow(world, 2)
    assert boxes[0].h == SIZE and boxes[-1].h == pytest.approx(1.4 * SIZE)


@pytest.mark.parametrize("far", [(0.0, 0.8), (1.2, 0.0)])
def test_a_face_elsewhere_or_of_another_size_is_not_the_heads(far):
    world = World(sitting, lambda t: 0.9, size=SIZE * (2.5 if far[0] == 0.0 else 1))
    seen = world.faces
    world.faces = lambda pts, part, score: [
        Face(Rect(f.box.x + far[0] * SIZE, f.box.y, f.box.w, f.box.h), f.score, f.landmarks)
        for f in seen(pts, part, score)
    ]
    assert all(box.h == SIZE and abs(box.cx - 300) < 10 for box in follow(world, 2))


def test_a_head_behind_somebody_elses_face_is_given_up_for_good():
    other = lambda t: [around(560 - 100 * t, 185)]  # noqa: E731
    boxes = follow(World(sitting), 5, other)
    met = next(n for n, box in enumerate(boxes) if box is None)
    assert 1.5 < met / HZ < 2.6
    assert not any(boxes[met:])


def test_nothing_is_looked_at_while_no_face_is_lost():
    world = World(sitting)
    follower = HeadFollower(world, WIDTH, HEIGHT)
    assert all(follower.step(n, n / HZ, [], [around(300, 180)]) == {} for n in range(20))
    assert world.looks == 0


def test_a_face_whose_frame_is_no_longer_at_hand_cannot_be_followed():
    world = World(sitting)
    lost = LostFace(1, 10, around(300, 180), 0.0, None)
    assert HeadFollower(world, WIDTH, HEIGHT).step(1, 0.1, [lost], []) == {}


def test_a_restored_follower_goes_on_the_same():
    world = World(walking, lambda t: 0.3)
    follower, again = (HeadFollower(world, WIDTH, HEIGHT) for _ in range(2))
    follow(world, 1.5, follower=follower)
    again.restore(json.loads(json.dumps(follower.state())))
    rest = [follow(world, 4, first=16, follower=f) for f in (follower, again)]
    assert rest[0] == rest[1] and all(rest[0])
