"""Shot changes, seen in luma thumbnails."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK_ROWS, BLOCK_COLUMNS = 4, 4
NOISE_VARIANCE = 48.0  # summed over blocks, in luma steps squared: detail below it is noise, however dark
LEAST_CHANGE = 0.5  # a cut replaces at least half of the detail in the frame
LEAST_RISE = 2.5  # ... and changes much more than the frames just before it did
LEVEL_DECAY = 0.9  # per frame: how fast the level of ordinary change is forgotten


class CutDetector:
    """Finds the first frame of every new shot.

    Each frame is compared with the one before by the covariance of corresponding blocks, as the structure term of
    SSIM does (Wang et al. 2004): block means drop out, so a lamp or an exposure that changes is no cut, and the change
    is relative to the frame's own contrast, so dark frames count like bright ones. As in adaptive content
    detection, a frame must differ much more than its predecessors did: quick movement is no cut either.
    """

    def __init__(self) -> None:
        self._last: NDArray[np.float32] | None = None
        self._level = 0.0

    def observe(self, thumbnails: NDArray[np.uint8]) -> list[bool]:
        """Say of each of N consecutive frames, luma of shape (N, 36, 64), whether it begins a new shot.

        The first frame of all begins nothing: there was no shot before it.
        """
        return [self._is_cut(_blocks(frame)) for frame in thumbnails]

    def state(self) -> dict[str, Any]:
        last = None if self._last is None else [[float(v) for v in block] for block in self._last]
        return {"last": last, "level": self._level}

    def restore(self, state: dict[str, Any]) -> None:
        last = state["last"]
        self._last = None if last is None else np.asarray(last, dtype=np.float32)
        self._level = float(state["level"])

    def _is_cut(self, blocks: NDArray[np.float32]) -> bool:
        previous, self._last = self._last, blocks
        if previous is None:
            return False
        change = _change(previous, blocks)
        cut = change >= LEAST_CHANGE and change >= LEAST_RISE * self._level
        self._level = max(0.0 if cut else change, LEVEL_DECAY * self._level)
        return cut


def _blocks(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Blocks of a frame without their means, shape (blocks, pixels of a block)."""
    rows, columns = frame.shape
    grid = frame.astype(np.float32).reshape(BLOCK_ROWS, rows // BLOCK_ROWS, BLOCK_COLUMNS, columns // BLOCK_COLUMNS)
    blocks = grid.transpose(0, 2, 1, 3).reshape(BLOCK_ROWS * BLOCK_COLUMNS, -1)
    centred: NDArray[np.float32] = blocks - blocks.mean(axis=1, keepdims=True)
    return centred


def _change(before: NDArray[np.float32], after: NDArray[np.float32]) -> float:
    """Share of the frames' detail that is not common to both: 0 for the same view, about 1 for two views."""
    pixels = int(before.shape[1])
    common = 2.0 * float((before * after).sum()) / pixels
    detail = (float((before * before).sum()) + float((after * after).sum())) / pixels
    return 1.0 - (common + NOISE_VARIANCE) / (detail + NOISE_VARIANCE)
