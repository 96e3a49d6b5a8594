"""Scenes for the virtual cameras, and what is measured on their rows."""

from __future__ import annotations

import numpy as np

from engines.frames import Rect
from pipeline.camera.planner import CameraOperator
from pipeline.people import Scene, Seen
from pipeline.settings import CameraSettings

FPS = 30
WIDTH, HEIGHT = 1920, 1080
LOOKAHEAD_S = 0.8
TICKS = 512
FROZEN = ("frozen", "placeholder")


def face(cx, cy=430.0, height=210.0):
    width = height * 0.78
    return Rect(cx - width / 2, cy - height / 2, width, height)


def scene(i, left=None, right=None, *, cut=False, t=None, people=(1, 2)):
    """Frame ``i``; a person is a box, None (never seen so far) or "lost"."""
    seen = [
        None if box is None else Seen(person, None if box == "lost" else box)
        for person, box in zip(people, (left, right), strict=True)
    ]
    return Scene(i * TICKS, i / FPS if t is None else t, cut, *seen)


def operator(*, missing="hold", width=WIDTH, height=HEIGHT, lookahead_s=LOOKAHEAD_S, camera=None):
    return CameraOperator(
        camera or CameraSettings(), missing=missing, lookahead_s=lookahead_s, width=width, height=height
    )


def film(scenes, **options):
    camera = operator(**options)
    rows = camera.observe(scenes) + camera.finish()
    assert [(r.pts, r.t) for r in rows] == [(s.pts, s.t) for s in scenes]
    return rows


def centres(tiles):
    return np.array([(t.crop.cx, t.crop.cy) for t in tiles])


def lefts(rows):
    return [r.left for r in rows]


def rights(rows):
    return [r.right for r in rows]


def holds(crop, box):
    across = crop.x <= box.x and box.x + box.w <= crop.x + crop.w
    return across and crop.y <= box.y and box.y + box.h <= crop.y + crop.h


def has_centre(crop, box):
    return crop.x <= box.cx <= crop.x + crop.w and crop.y <= box.cy <= crop.y + crop.h


def acceleration(tiles):
    """Per direction and frame, in crop widths per second squared."""
    widths = np.array([t.crop.w for t in tiles])[2:, None]
    return np.abs(np.diff(centres(tiles), 2, axis=0)) / widths * FPS**2
