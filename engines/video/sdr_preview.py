"""Convert HDR frames to rough SDR for the models, cut detection and previews."""

from __future__ import annotations

import functools
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.frames import ColorTags, Plane, VideoInfo
from engines.tone_map import ToneSource, table, to_sdr, tone_source

_STEPS = 256  # P010's upper byte


class SdrPreview:
    """Converts P010 samples to 8-bit SDR; each colour is that of the nearest node of the table.

    Args:
        color: tags of the frames, limited range.
    """

    def __init__(self, source: ToneSource, color: ColorTags) -> None:
        self._source = source
        self._kr, self._kb = (0.2126, 0.0722) if color.matrix == 1 else (0.2627, 0.0593)

    def bgr(self, y: NDArray[Any], uv: NDArray[Any]) -> Plane:
        """Return a BGR image (H, W, 3) of P010 planes (H, W) and (H / 2, W / 2, 2)."""
        chroma = cv2.resize(uv, (y.shape[1], y.shape[0]), interpolation=cv2.INTER_LINEAR)
        luma = (y.astype(np.float32) / _STEPS - 16) / 219
        u, v = np.moveaxis((np.asarray(chroma, np.float32) / _STEPS - 128) / 224, 2, 0)
        red, blue = luma + 2 * (1 - self._kr) * v, luma + 2 * (1 - self._kb) * u
        green = (luma - self._kr * red - self._kb * blue) / (1 - self._kr - self._kb)
        values = _bgr_table(self._source)
        last = len(values) - 1
        nodes = tuple(np.clip(np.rint(c * last), 0, last).astype(np.intp) for c in (red, green, blue))
        return np.asarray(values[nodes], np.uint8)

    def luma(self, y: NDArray[Any]) -> Plane:
        """Return 8-bit limited-range luma, mapped as for greys."""
        return np.asarray(cv2.LUT((y >> 8).astype(np.uint8), _grey_table(self._source)), np.uint8)


def sdr_preview(video: VideoInfo) -> SdrPreview | None:
    """Return a converter for a stream whose HDR is kept; None if the stream is SDR."""
    source = tone_source(video.color, video.peak_cd_m2)
    return None if source is None else SdrPreview(source, video.color)


@functools.lru_cache(maxsize=2)
def _bgr_table(source: ToneSource) -> Plane:
    return np.rint(table(source)[..., ::-1] * 255).astype(np.uint8)


@functools.lru_cache(maxsize=2)
def _grey_table(source: ToneSource) -> Plane:
    greys = np.clip((np.arange(_STEPS) - 16) / 219, 0, 1)
    return np.rint(16 + 219 * to_sdr(np.stack([greys] * 3, axis=1), source)[:, 0]).astype(np.uint8)
