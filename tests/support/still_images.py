"""Still frames for tests: two real faces, and patterns that are known at every point between the pixels."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import skimage.data

from engines.frames import Frame

Scene = Callable[[np.ndarray, np.ndarray], np.ndarray]  # x, y in pixels, pixel i covers [i, i + 1) -> 0..255


@functools.cache
def collins() -> np.ndarray:
    """Eileen Collins, BGR, 512x512, one face."""
    return cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2BGR)


@functools.cache
def hopper() -> np.ndarray:
    """Grace Hopper, BGR, 512 wide and 600 high, one face."""
    return cv2.imread(str(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"))[:600, :512]


def nv12(bgr: np.ndarray) -> Frame:
    """The frame in BT.601 of limited range; odd sizes lose a row or column."""
    height, width = bgr.shape[0] // 2 * 2, bgr.shape[1] // 2 * 2
    planes = cv2.cvtColor(np.ascontiguousarray(bgr[:height, :width]), cv2.COLOR_BGR2YUV_I420)
    chroma = planes[height:].reshape(2, height // 2, width // 2)
    return Frame(planes[:height].copy(), np.ascontiguousarray(chroma.transpose(1, 2, 0)), 0, 1)


def waves(finest: float, seed: int = 0) -> Scene:
    """A smooth random pattern; ``finest`` is its highest frequency as a share of one pixel's Nyquist frequency."""
    random = np.random.default_rng(seed)
    angle, phase = random.uniform(0, 2 * np.pi, (2, 24))
    frequency = np.pi * finest * np.sqrt(random.uniform(0, 1, 24))
    amplitude = 45 / np.sqrt(24 / 2)

    def at(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        terms = zip(angle, phase, frequency, strict=True)
        total = sum(np.cos(f * (np.cos(a) * x + np.sin(a) * y) + p) for a, p, f in terms)
        return np.clip(128 + amplitude * total, 0, 255)

    return at


def frame_of(scene: Scene, width: int, height: int) -> Frame:
    """Luma and both chroma planes show the same scene, chroma sited left as H.264's default says."""
    rows, columns = np.mgrid[:height, :width] + 0.5
    chroma_rows, chroma_columns = np.mgrid[: (height + 1) // 2, : (width + 1) // 2]
    chroma = scene(2 * chroma_columns + 0.5, 2 * chroma_rows + 1.0)
    return Frame(_eight_bits(scene(columns, rows)), np.stack([_eight_bits(chroma)] * 2, axis=2), 0, 1)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """In dB, of 8-bit frames."""
    error = np.mean((a.astype(np.float64) - b) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-10)))


def _eight_bits(values: np.ndarray) -> np.ndarray:
    return np.rint(values).astype(np.uint8)
