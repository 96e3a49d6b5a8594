"""Skin of any tone, by replacing the albedo of a portrait's skin and keeping its shading."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]

# Individual typology angles (Chardon et al. 1991) in the middle of their six classes: very light, light, intermediate,
# tan, brown, dark. The angle is atan((L* - 50) / b*).
TYPOLOGY_ANGLES = (60, 48, 35, 19, -10, -45)
TONES = tuple((50 + 17 * math.tan(math.radians(angle)), 11.0, 17.0) for angle in TYPOLOGY_ANGLES)  # L*, a*, b*
GAMMA = 2.2
_SPREAD = 14.0  # of a* and b* among pixels of one skin
_SHINE = 0.02  # light that skin of any tone reflects at its surface, of that which falls on it


def retoned(color: Image, tone: tuple[float, float, float], face: tuple[float, float, float, float]) -> Image:
    """Return the picture with skin of another tone.

    Skin is what has about the colour of the cheeks. Its light is divided into a part that the surface reflects, which
    is the same for everybody, and a part that is multiplied by the ratio of the albedos.

    Args:
        color: BGR 0..255.
        tone: mean L*, a*, b* of the new skin.
        face: x, y, width and height of the face, from which the present tone is taken.
    """
    lab = cv2.cvtColor(np.clip(color / 255, 0, 1).astype(np.float32), cv2.COLOR_BGR2LAB)
    own = _cheeks(lab, face)
    away = np.hypot(lab[..., 1] - own[1], lab[..., 2] - own[2]) / _SPREAD
    lightness = np.clip((lab[..., 0] - 0.35 * own[0]) / (0.2 * own[0]), 0, 1)
    skin = cv2.GaussianBlur(np.exp(-0.5 * away**2) * lightness, (0, 0), 1.5) * _around(color.shape[:2], face)
    light = np.power(np.clip(color / 255, 0, 1), GAMMA)
    surface = np.minimum(_SHINE, light)
    ratio = np.power(_bgr(tone) / _bgr(own), GAMMA)
    changed = surface + (light - surface) * ratio
    mixed = skin[..., None] * changed + (1 - skin[..., None]) * light
    return np.asarray(255 * np.power(np.clip(mixed, 0, 1), 1 / GAMMA), np.float32)


def _cheeks(lab: Image, face: tuple[float, float, float, float]) -> NDArray[np.float64]:
    x, y, w, h = face
    rows = slice(round(y + 0.45 * h), round(y + 0.62 * h))
    sides = (slice(round(x + 0.15 * w), round(x + 0.32 * w)), slice(round(x + 0.68 * w), round(x + 0.85 * w)))
    return np.median(np.concatenate([lab[rows, side].reshape(-1, 3) for side in sides]), axis=0)


def _around(shape: tuple[int, int], face: tuple[float, float, float, float]) -> Image:
    """Weights that keep the change to face, ears and neck."""
    x, y, w, h = face
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    across = np.clip((0.75 * w - np.abs(columns - x - w / 2)) / (0.1 * w), 0, 1)
    down = np.clip((1.4 * h - (rows - y + 0.1 * h)) / (0.1 * h), 0, 1)
    return across * down


def _bgr(lab: object) -> NDArray[np.float64]:
    pixel = np.array([[lab]], np.float32)
    return np.clip(cv2.cvtColor(pixel, cv2.COLOR_LAB2BGR)[0, 0], 0.01, 1).astype(np.float64)
