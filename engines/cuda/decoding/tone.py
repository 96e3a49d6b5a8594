"""Tone mapping on the GPU: the table of ``engines.tone_map`` in its memory, and the scaling of samples to it."""

from __future__ import annotations

from typing import Any

import numpy as np

from engines.cuda.kernels import TONE
from engines.cuda.stream_protocol import DeviceWork
from engines.frames import VideoInfo
from engines.tone_map import ToneSource, table

_LUMA_BLACK, _LUMA_STEPS, _CHROMA_GREY, _CHROMA_STEPS = 16, 219, 128, 224  # limited range, 8 bits
_BT2020 = 0.2627, 0.0593
_COEFFICIENTS = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 7: (0.212, 0.087)}  # H.273, table 4


class ToneTable:
    """A table in the GPU's memory, for frames of one stream."""

    def __init__(self, stream: DeviceWork, video: VideoInfo, source: ToneSource) -> None:
        self._video = video
        self._memory = stream.upload(table(source))
        self._address = stream.address(self._memory)

    def described(self, *, wide: bool) -> Any:
        """Return ``kernels.TONE`` for surfaces of one or two bytes per sample."""
        tone = np.zeros((), TONE)
        tone["table"], tone["size"] = self._address, self._memory.shape[0]
        names = ("black", "luma_gain", "grey", "chroma_gain")
        for name, value in zip(names, _normalised(self._video, wide=wide), strict=True):
            tone[name] = value
        tone["kr"], tone["kb"] = _COEFFICIENTS.get(self._video.color.matrix, _BT2020)
        return tone


def white_and_middle(video: VideoInfo, *, wide: bool) -> tuple[int, int]:
    """Return the stored values of full-range white and grey."""
    bits = max(9, video.bit_depth) if wide else 8
    return ((2**bits - 1) << (16 - bits), 2**15) if wide else (255, 128)


def _normalised(video: VideoInfo, *, wide: bool) -> tuple[float, float, float, float]:
    """Black and gain of luma, grey and gain of chroma: 0..1, or -1/2..1/2 = first + second * stored value."""
    if video.color.full_range:
        white, middle = white_and_middle(video, wide=wide)
        return 0.0, 1 / white, -middle / white, 1 / white
    step = 1 / 256 if wide else 1.0
    return -_LUMA_BLACK / _LUMA_STEPS, step / _LUMA_STEPS, -_CHROMA_GREY / _CHROMA_STEPS, step / _CHROMA_STEPS
