"""Shot changes in luma thumbnails."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK_ROWS, BLOCK_COLUMNS = 4, 4
NOISE_VARIANCE = 48.0  # summed over blocks, in luma steps squared: detail below this is noise
MIN_CHANGE = 0.5  # a cut replaces at least this share of the detail in the frame
MIN_RISE = 2.5  # ... and changes this many times more than the frames just before it
LEVEL_DECAY = 0.9  # per frame: decay of the level of ordinary change
HALF_ROWS = 3  # blocks of a frame at half the size, down
HALF_NOISE = 1.5  # of two pixels at half the size, in luma steps squared
SPANS = (8, 12, 18, 26, 36)  # frames over which a dissolve is looked for
MAX_RESIDUAL = 0.12  # squared distance of the middle frame from the mean of both ends, of the ends' squared distance
MIN_DIP = 0.3  # loss of detail in the middle frame, of what a mixture of both ends loses
PAUSE = 24  # frames after a cut in which no dissolve is found
AFTER_CUT, AFTER_DISSOLVE = 3, 12  # frames after either in which a frame near black makes no further cut
MIN_DETAIL, DETAIL_DECAY = 0.25, 0.95  # of the recent peak, which decays with each frame: less is near black
MIN_BLOCK_CHANGE, MIN_BLOCKS = 0.35, 0.85  # a dissolve changes this share of a block's detail, in most blocks
MIN_LAST = 0.25  # detail of the last frame, of that of the first one: the way to black is no new shot


class ShotDetector:
    """Finds the first frame of every new shot.

    Each frame is compared with the one before by the covariance of corresponding blocks, as the structure term of
    SSIM does (Wang et al. 2004). Block means drop out, so a change of light or exposure is no cut. The change is
    relative to the contrast of the frames, so dark frames count like bright ones. As in adaptive content detection, a
    frame must differ much more than its predecessors did, so fast movement is no cut either.

    Dissolves and fades are found by their middle: it is the mean of the frames on either side, and has less detail
    than they have (Alattar 1993). A camera that moves keeps its detail. A dissolve is reported where about as much of
    the new shot is visible as the span that finds it covers, at the latest a few frames after its end.
    """

    def __init__(self) -> None:
        self._last: NDArray[np.float32] | None = None
        self._level = 0.0
        self._recent = np.zeros((0, 0), np.float16)  # blocks of the latest frames, at half the size
        self._since_cut, self._quiet = PAUSE, 0
        self._detail = 0.0  # recent peak, summed over the pixels of the blocks

    def observe(self, thumbnails: NDArray[np.uint8]) -> list[bool]:
        """Return for each of N consecutive frames, luma of shape (N, 36, 64), whether it begins a new shot.

        The first frame of a video is no cut.
        """
        return [self._is_cut(frame) for frame in thumbnails]

    def state(self) -> dict[str, Any]:
        last = None if self._last is None else [[float(v) for v in block] for block in self._last]
        recent = [len(self._recent), b64encode(self._recent.tobytes()).decode()]
        counts = {"since_cut": self._since_cut, "quiet": self._quiet}
        return {"last": last, "level": self._level, "detail": self._detail, "recent": recent, **counts}

    def restore(self, state: dict[str, Any]) -> None:
        last = state["last"]
        self._last = None if last is None else np.asarray(last, dtype=np.float32)
        self._level, self._detail = float(state["level"]), float(state["detail"])
        self._since_cut, self._quiet = int(state["since_cut"]), int(state["quiet"])
        length, recent = state["recent"]
        self._recent = np.frombuffer(b64decode(recent), np.float16).reshape(length, -1 if length else 0)

    def _is_cut(self, frame: NDArray[np.uint8]) -> bool:
        blocks = _blocks(frame.astype(np.float32))
        previous, self._last = self._last, blocks
        change = 0.0 if previous is None else _change(previous, blocks)
        cut = change >= MIN_CHANGE and change >= MIN_RISE * self._level and not self._is_black(previous)
        self._level = max(0.0 if cut else change, LEVEL_DECAY * self._level)
        half = _half(frame)
        self._recent = half if cut or not len(self._recent) else np.concatenate([self._recent, half])[-SPANS[-1] - 1 :]
        self._detail = max(float((blocks**2).sum()), DETAIL_DECAY * self._detail)
        self._quiet -= 1
        if cut:
            self._quiet, self._since_cut = AFTER_CUT, 0
            return True
        self._since_cut += 1
        if self._since_cut < PAUSE or not self._ends_dissolve():
            return False
        self._recent, self._since_cut, self._quiet = half, 0, AFTER_DISSOLVE
        return True

    def _is_black(self, previous: NDArray[np.float32] | None) -> bool:
        """Return whether a cut right now would be part of the latest one: a fade through black has several."""
        return self._quiet > 0 and (previous is None or float((previous**2).sum()) < MIN_DETAIL * self._detail)

    def _ends_dissolve(self) -> bool:
        return any(len(self._recent) > span and _is_mixture(self._recent[-span - 1 :]) for span in SPANS)


def _is_mixture(frames: NDArray[np.float16]) -> bool:
    """Return whether the middle one of the frames is a mixture of the first and the last one, of different shots."""
    shape = (HALF_ROWS * BLOCK_COLUMNS, -1)
    first, middle, last = (frames[i].astype(np.float32).reshape(shape) for i in (0, len(frames) // 2, -1))
    before, after = (first**2).mean(axis=1), (last**2).mean(axis=1)
    apart, detail = ((first - last) ** 2).mean(axis=1), before + after
    change = float(apart.sum() / (detail + HALF_NOISE).sum())
    if change < MIN_CHANGE or after.sum() < MIN_LAST * before.sum():
        return False
    if float(np.mean(apart >= MIN_BLOCK_CHANGE * (detail + HALF_NOISE))) < MIN_BLOCKS:
        return False
    residual = float(((middle - (first + last) / 2) ** 2).sum() / ((first - last) ** 2).sum())
    dip = 1 - 2 * float((middle**2).mean() / detail.mean())
    return residual <= MAX_RESIDUAL and dip >= MIN_DIP * change


def _half(frame: NDArray[np.uint8]) -> NDArray[np.float16]:
    """Return the frame at half the size without the means of blocks, shape (1, pixels)."""
    rows, columns = frame.shape
    small = frame.reshape(rows // 2, 2, columns // 2, 2).mean(axis=(1, 3), dtype=np.float32)
    return _blocks(small, HALF_ROWS, BLOCK_COLUMNS).astype(np.float16).reshape(1, -1)


def _blocks(frame: NDArray[np.float32], down: int = BLOCK_ROWS, across: int = BLOCK_COLUMNS) -> NDArray[np.float32]:
    """Return the blocks of a frame without their means, shape (blocks, pixels of a block)."""
    rows, columns = frame.shape
    grid = frame.reshape(down, rows // down, across, columns // across)
    blocks = grid.transpose(0, 2, 1, 3).reshape(down * across, -1)
    centred: NDArray[np.float32] = blocks - blocks.mean(axis=1, keepdims=True)
    return centred


def _change(before: NDArray[np.float32], after: NDArray[np.float32]) -> float:
    """Return the share of detail that the frames do not have in common: 0 for one view, about 1 for two."""
    pixels = int(before.shape[1])
    common = 2.0 * float((before * after).sum()) / pixels
    detail = (float((before * before).sum()) + float((after * after).sum())) / pixels
    return 1.0 - (common + NOISE_VARIANCE) / (detail + NOISE_VARIANCE)
