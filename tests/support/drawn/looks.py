"""What a drawn person looks like: a mixture of two portraits, with a skin tone, and things worn on the face."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.sample import COLLINS, HOPPER, Portrait
from tests.support.drawn.skin import TONES, retoned
from tests.support.still_images import collins, hopper

Image = NDArray[np.float32]

WIDTH, HEIGHT = 460, 640  # of a person's picture, in which the features have the same places for everybody
FACE = (170.0, 127.0, 120.0, 152.0)  # x, y, width, height of the face in it
EYES, NOSE, MOUTH = ((200.0, 180.0), (260.0, 180.0)), (229.0, 210.0), (229.0, 234.0)
NECK_Y = 292.0
_LANDMARKS = {
    "collins": ((200.1, 101.8), (247.1, 102.6), (220.4, 124.5), (198.6, 142.8), (239.7, 143.6)),
    "hopper": ((227.1, 193.3), (307.8, 195.4), (266.5, 240.0), (228.5, 267.9), (302.2, 269.6)),
}
_COMMON = ((200.0, 180.0), (260.0, 180.0), (229.0, 210.0), (201.0, 234.0), (257.0, 234.0))


@dataclass(frozen=True)
class Look:
    """How a person looks.

    Attributes:
        face: 0 for Eileen Collins' face, 1 for Grace Hopper's, or a mixture; differences below 0.3 are look-alikes.
        build: of the face: 0 as photographed, towards 1 with a long nose, a narrow jaw and small eyes, towards -1 the
            other way.
        body: whose hair and clothes: "collins" or "hopper".
        mirrored: left and right are exchanged.
        clothes: hue in degrees by which the clothes are turned.
        tone: index into ``skin.TONES``; None: that of the portrait.
        worn: "mask", "glasses" or "".
    """

    face: float = 0.0
    build: float = 0.0
    body: str = "collins"
    mirrored: bool = False
    clothes: int = 0
    tone: int | None = None
    worn: str = ""


@lru_cache(maxsize=64)
def picture(look: Look) -> tuple[Image, Image]:
    """Return colour (HEIGHT, WIDTH, 3), BGR 0..255, and alpha (HEIGHT, WIDTH, 1), 0..1."""
    own, other = ("collins", "hopper") if look.body == "collins" else ("hopper", "collins")
    color, alpha = _placed(own)
    share = look.face if look.body == "collins" else 1 - look.face
    mask = _face_mask()
    mixed = share * _like(_placed(other)[0], color, mask) + (1 - share) * color
    color = mask * mixed + (1 - mask) * color
    if look.build:
        color = _built(color, look.build)
    if look.clothes:
        color = _turned_hue(color, look.clothes)
    if look.tone is not None:
        color = retoned(color, TONES[look.tone], FACE)
    color = _WORN[look.worn](color.copy())
    if look.mirrored:
        color, alpha = (np.ascontiguousarray(layer[:, ::-1]) for layer in (color, alpha))
    return color, alpha.reshape(HEIGHT, WIDTH, 1)


@lru_cache
def _placed(name: str) -> tuple[Image, Image]:
    """A portrait moved so that its features are at the common places, and its alpha."""
    image, portrait = (collins(), COLLINS) if name == "collins" else (hopper(), HOPPER)
    move, _ = cv2.estimateAffinePartial2D(np.array(_LANDMARKS[name]), np.array(_COMMON), method=cv2.LMEDS)
    color = cv2.warpAffine(image, move, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return color.astype(np.float32), _alpha(portrait, move)


def _alpha(portrait: Portrait, move: NDArray[np.float64]) -> Image:
    outline = np.array(portrait.outline, np.float64) @ move[:, :2].T + move[:, 2]
    bottom = max(y for _, y in portrait.outline)
    outline[[y == bottom for _, y in portrait.outline], 1] = HEIGHT + 20  # the body goes on below the portrait
    filled = np.zeros((HEIGHT, WIDTH), np.float32)
    cv2.fillPoly(filled, [np.round(outline).astype(np.int32)], 1.0)
    return cv2.GaussianBlur(filled, (0, 0), 2.5)


@lru_cache
def _face_mask() -> Image:
    mask = np.zeros((HEIGHT, WIDTH), np.float32)
    cv2.ellipse(mask, (230, 202), (50, 70), 0, 0, 360, 1.0, -1)
    return cv2.GaussianBlur(mask, (0, 0), 9)[..., None]


def _like(source: Image, target: Image, mask: Image) -> Image:
    """The source with mean and deviation of the target's colours within the mask (Reinhard et al. 2001, in RGB)."""
    inside = mask[..., 0] > 0.5
    a, b = source[inside], target[inside]
    return (source - a.mean(0)) * (b.std(0) / a.std(0)) + b.mean(0)


def _built(color: Image, build: float) -> Image:
    """The picture with other proportions of the face."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    x, y = columns - WIDTH / 2, rows
    within = np.exp(-0.5 * ((x / 62) ** 2 + ((y - 210) / 62) ** 2))
    lower = np.clip((y - 205) / 50, 0, 1)
    dx = x * within * lower * 0.30 * build
    dy = -within * (np.clip((y - 185) / 25, 0, 1) * 14 * build)
    for eye_x, eye_y in EYES:
        near = np.exp(-0.5 * (((columns - eye_x) / 17) ** 2 + ((rows - eye_y) / 12) ** 2))
        dx += 0.4 * build * near * (columns - eye_x)
        dy += 0.4 * build * near * (rows - eye_y)
    return cv2.remap(color, columns + dx, rows + dy, cv2.INTER_LINEAR)


def _turned_hue(color: Image, degrees: int) -> Image:
    hsv = cv2.cvtColor(np.clip(color, 0, 255).astype(np.uint8), cv2.COLOR_BGR2HSV)
    hsv[..., 0] = (hsv[..., 0].astype(int) + degrees // 2) % 180
    turned = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR).astype(np.float32)
    below = np.clip((np.arange(HEIGHT, dtype=np.float32) - NECK_Y - 30) / 20, 0, 1)[:, None, None]
    return below * turned + (1 - below) * color


def _masked(color: Image) -> Image:
    """A surgical mask from the nose to the chin."""
    shape = np.array([(180, 205), (229, 196), (280, 205), (276, 255), (229, 284), (184, 255)])
    cv2.fillPoly(color, [shape], (205.0, 190.0, 165.0), cv2.LINE_AA)
    for y in (222, 240, 258):
        cv2.line(color, (186, y), (273, y), (180.0, 165.0, 140.0), 2, cv2.LINE_AA)
    return color


def _with_glasses(color: Image) -> Image:
    """Glasses with thick dark rims and lenses that reflect a little."""
    for x, y in EYES:
        rim = (round(x), round(y) + 2)
        lens = color.copy()
        cv2.ellipse(lens, rim, (24, 19), 0, 0, 360, (230.0, 225.0, 215.0), -1, cv2.LINE_AA)
        color[:] = 0.8 * color + 0.2 * lens
        cv2.ellipse(color, rim, (24, 19), 0, 0, 360, (25.0, 22.0, 20.0), 5, cv2.LINE_AA)
    cv2.line(color, (222, 180), (238, 180), (25.0, 22.0, 20.0), 5, cv2.LINE_AA)
    return color


_WORN = {"": lambda color: color, "mask": _masked, "glasses": _with_glasses}
