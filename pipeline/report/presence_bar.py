"""The bar of a contact sheet that shows where one tile's pictures come from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.people import Source
from pipeline.segments.tracks_file import SOURCES

_SHADE = (48, 47, 45)
SOURCE_COLORS: dict[Source, tuple[int, int, int]] = {
    "detected": (52, 168, 106),
    "tracked": (128, 206, 160),
    "reidentified": (92, 164, 255),
    "head": (44, 196, 200),
    "held": (240, 200, 80),
    "frozen": (236, 122, 48),
    "placeholder": (214, 64, 70),
}
SOURCE_WORDS = {
    "reidentified": "recognised again",
    "head": "head without a face",
    "held": "camera waits",
    "placeholder": "nothing to show",
}


def presence_bar(sources: NDArray[np.int64], height: int) -> NDArray[np.uint8]:
    """Return a bar with the sources of one tile over the duration, RGB, shape (height, bins, 3).

    Each column is divided in proportion, the worst source at the bottom, each source at least one pixel high. A column
    without frames repeats the one before.

    Args:
        sources: number of frames by source and bin, shape (sources, bins).
    """
    bar = np.full((height, sources.shape[1], 3), _SHADE, np.uint8)
    last = np.zeros(len(SOURCES), np.int64)
    for place in range(sources.shape[1]):
        last = sources[:, place] if sources[:, place].any() else last
        bottom = height
        for number in reversed(range(len(SOURCES))):
            if last[number]:
                part = max(1, round(height * int(last[number]) / int(last.sum())))
                bar[max(0, bottom - part) : bottom, place] = SOURCE_COLORS[SOURCES[number]]
                bottom = max(0, bottom - part)
        if last.any() and bottom:
            bar[:bottom, place] = SOURCE_COLORS[SOURCES[int(np.flatnonzero(last)[0])]]
    return bar
