"""Shot changes in luma thumbnails."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK_ROWS, BLOCK_COLUMNS = 4, 4
NOISE_VARIANCE = 48.0  # summed over blocks, in luma steps squared: detail below this is noise
MIN_CHANGE = 0.5  # a cut replaces at least this share of the detail in the frame
MIN_RISE = 2.5  # ... and changes this many times more than the frames just before it
LEVEL_DECAY = 0.9  # per frame: decay of the level of ordinary change


class ShotDetector:
    """Finds the first frame of every new shot.

    Each frame is compared with the one before by the covariance of corresponding blocks, as the structure term of
    SSIM does (Wang et al. 2004). Block means drop out, so a change of light or exposure is no cut. The change is
    relative to the contrast of the frames, so dark frames count like bright ones. As in adaptive content detection, a
    frame must differ much more than its predecessors did, so fast movement is no cut either.
    """

    def __init__(self) -> None:
        self._last: NDArray[np.float32] | None = None
        self._level = 0.0

    def observe(self, thumbnails: NDArray[np.uint8]) -> list[bool]:
        """Return for each of N consecutive frames, luma of shape (N, 36, 64), whether it begins a new shot.

        The first frame of a video is no cut.
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
        cut = change >= MIN_CHANGE and change >= MIN_RISE * self._level
        self._level = max(0.0 if cut else change, LEVEL_DECAY * self._level)
        return cut


def _blocks(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the blocks of a frame without their means, shape (blocks, pixels of a block)."""
    rows, columns = frame.shape
    grid = frame.astype(np.float32).reshape(BLOCK_ROWS, rows // BLOCK_ROWS, BLOCK_COLUMNS, columns // BLOCK_COLUMNS)
    blocks = grid.transpose(0, 2, 1, 3).reshape(BLOCK_ROWS * BLOCK_COLUMNS, -1)
    centred: NDArray[np.float32] = blocks - blocks.mean(axis=1, keepdims=True)
    return centred


def _change(before: NDArray[np.float32], after: NDArray[np.float32]) -> float:
    """Return the share of detail that the frames do not have in common: 0 for one view, about 1 for two."""
    pixels = int(before.shape[1])
    common = 2.0 * float((before * after).sum()) / pixels
    detail = (float((before * before).sum()) + float((after * after).sum())) / pixels
    return 1.0 - (common + NOISE_VARIANCE) / (detail + NOISE_VARIANCE)
