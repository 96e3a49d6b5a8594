"""Heads in motion: turned to a side, with an open mouth or closed eyes, at any place and size of a frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.frames import Rect
from tests.support.drawn.looks import EYES, FACE, HEIGHT, MOUTH, NECK_Y, NOSE, WIDTH, Look, picture

Image = NDArray[np.float32]
TURN_STEPS, MOUTH_STEPS = 6, 2  # steps to each side, and of the mouth
_HEAD_HALF = 84.0  # half the width of a head in the picture
_LEVELS = 4  # of the pyramid


@dataclass(frozen=True)
class Pose:
    """A head in a frame.

    Attributes:
        x, y: centre of the face, as parts of the frame's width and height.
        size: height of the face, as a part of the frame's height.
        turn: -1 to 1: to the left or right of the frame, 1 for about 45 degrees.
        mouth: how far it is open, 0 to 1.
        blink: whether the eyes are closed.
        lean_deg: roll of the head and body.
    """

    x: float
    y: float
    size: float
    turn: float = 0.0
    mouth: float = 0.0
    blink: bool = False
    lean_deg: float = 0.0

    def box(self, width: int, height: int) -> Rect:
        """The face in pixels of a frame; turns and leans are neglected."""
        h = self.size * height
        w = h * FACE[2] / FACE[3]
        return Rect(self.x * width - w / 2, self.y * height - h / 2, w, h)


def draw(canvas: Image, look: Look, pose: Pose) -> None:
    """Draw a person over a frame, BGR 0..255."""
    height, width = canvas.shape[:2]
    scale = pose.size * height / FACE[3]
    level = min(_LEVELS - 1, max(0, int(np.floor(np.log2(1 / scale)))))
    color, alpha = _level(look, round(pose.turn * TURN_STEPS), round(pose.mouth * MOUTH_STEPS), pose.blink, level)
    move = cv2.getRotationMatrix2D((0.0, 0.0), pose.lean_deg, scale * 2**level)
    centre = np.array([FACE[0] + FACE[2] / 2, FACE[1] + FACE[3] / 2]) / 2**level
    move[:, 2] = np.array([pose.x * width, pose.y * height]) - move[:, :2] @ centre
    x0, x1 = (max(0, min(width, round(pose.x * width + side * 270 * scale))) for side in (-1, 1))
    y0 = max(0, min(height, round(pose.y * height - 230 * scale)))
    if x1 - x0 < 2 or height - y0 < 2:
        return
    move[:, 2] -= (x0, y0)
    size = x1 - x0, height - y0
    over, cover = (cv2.warpAffine(layer, move, size) for layer in (color, alpha))
    canvas[y0:, x0:x1] = canvas[y0:, x0:x1] * (1 - cover[..., None].astype(np.float32) / 255) + over


@lru_cache(maxsize=200)
def _level(look: Look, turn: int, mouth: int, blink: bool, level: int) -> Sequence[NDArray[np.uint8]]:
    """Colour times alpha, and alpha, halved ``level`` times."""
    layers = _full(look, turn, mouth, blink)
    for _ in range(level):
        layers = [cv2.pyrDown(layer) for layer in layers]
    return [np.clip(layer, 0, 255).astype(np.uint8) for layer in layers]


def _full(look: Look, turn: int, mouth: int, blink: bool) -> Sequence[Image]:
    """Colour times alpha, and alpha, both 0..255."""
    color, alpha = picture(look)
    color = color.copy()
    if blink:
        _close_eyes(color)
    if mouth and look.worn != "mask":
        _open_mouth(color, mouth / MOUTH_STEPS)
    columns, rows = _turned(turn / TURN_STEPS)
    layers = color * alpha, 255 * alpha[..., 0]
    return [cv2.remap(layer, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for layer in layers]


@lru_cache
def _turned(turn: float) -> tuple[Image, Image]:
    """Where the pixels of a turned head come from: the face shifts over the head, and the nose more than the rest."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    u = np.clip((columns - WIDTH / 2) / _HEAD_HALF, -1, 1)
    above = np.clip((NECK_Y + 30 - rows) / 60, 0, 1)
    shift = 0.40 * turn * (1 - u * u) * _HEAD_HALF
    near_nose = np.exp(-0.5 * (((columns - NOSE[0] - shift) / 22) ** 2 + ((rows - NOSE[1]) / 24) ** 2))
    return columns - above * (shift + 14 * turn * near_nose), rows


def _open_mouth(color: Image, share: float) -> None:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    x, y = MOUTH
    across = np.exp(-0.5 * ((columns - x) / 34) ** 2)
    drop = 12 * share * across * np.clip((rows - y) / 10, 0, 1) * np.clip((NECK_Y - rows) / 30, 0, 1)
    color[:] = cv2.remap(color, columns, rows - drop, cv2.INTER_LINEAR)
    cv2.ellipse(
        color, (round(x), round(y + 5 * share)), (17, round(1 + 9 * share)), 0, 0, 360, (35.0, 25.0, 60.0), -1, 16
    )


def _close_eyes(color: Image) -> None:
    for x, y in EYES:
        lid = color[round(y + 18), round(x)].tolist()
        cv2.ellipse(color, (round(x), round(y)), (14, 7), 0, 0, 360, lid, -1, cv2.LINE_AA)
