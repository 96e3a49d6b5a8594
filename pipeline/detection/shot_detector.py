"""Shot changes in luma thumbnails."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
_Half = tuple[Floats, float]  # blocks of a frame at half the size, and their detail: the sum of squares

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
        self._last: Floats | None = None  # blocks of the latest frame
        self._level = 0.0
        self._recent: list[_Half] = []  # the latest frames at half the size, oldest first
        self._since_cut, self._quiet = PAUSE, 0
        self._detail = 0.0  # recent peak, summed over the pixels of the blocks

    def observe(self, thumbnails: NDArray[np.uint8]) -> list[bool]:
        """Return for each of N consecutive frames, luma of shape (N, 36, 64), whether it begins a new shot.

        The first frame of a video is no cut.
        """
        frames = thumbnails.astype(np.float32)
        blocks = _blocks(frames, BLOCK_ROWS, BLOCK_COLUMNS)
        return [self._is_cut(*frame) for frame in zip(blocks, _halves(frames), strict=True)]

    def state(self) -> dict[str, Any]:
        last = None if self._last is None else [float(v) for v in self._last]
        halves = np.asarray([half for half, _ in self._recent], np.float16)
        recent = [len(self._recent), b64encode(halves.tobytes()).decode()]
        counts = {"since_cut": self._since_cut, "quiet": self._quiet}
        return {"last": last, "level": self._level, "detail": self._detail, "recent": recent, **counts}

    def restore(self, state: dict[str, Any]) -> None:
        last = state["last"]
        self._last = None if last is None else np.asarray(last, dtype=np.float32)
        self._level, self._detail = float(state["level"]), float(state["detail"])
        self._since_cut, self._quiet = int(state["since_cut"]), int(state["quiet"])
        length, recent = state["recent"]
        halves = np.frombuffer(b64decode(recent), np.float16).reshape(length, -1 if length else 0)
        self._recent = [_measured(half) for half in halves.astype(np.float32)]

    def _is_cut(self, blocks: Floats, pixels: Floats) -> bool:
        half = _measured(pixels)
        previous, self._last = self._last, blocks
        detail = float(blocks @ blocks)
        change = 0.0 if previous is None else _change(previous, blocks)
        cut = change >= MIN_CHANGE and change >= MIN_RISE * self._level and not self._is_black(previous)
        self._level = max(0.0 if cut else change, LEVEL_DECAY * self._level)
        self._recent = [half] if cut else [*self._recent[-SPANS[-1] :], half]
        self._detail = max(detail, DETAIL_DECAY * self._detail)
        self._quiet -= 1
        if cut:
            self._quiet, self._since_cut = AFTER_CUT, 0
            return True
        self._since_cut += 1
        if self._since_cut < PAUSE or not self._ends_dissolve():
            return False
        self._recent, self._since_cut, self._quiet = [half], 0, AFTER_DISSOLVE
        return True

    def _is_black(self, previous: Floats | None) -> bool:
        """Return whether a cut right now would be part of the latest one: a fade through black has several."""
        return self._quiet > 0 and (previous is None or float(previous @ previous) < MIN_DETAIL * self._detail)

    def _ends_dissolve(self) -> bool:
        recent = self._recent
        return any(
            len(recent) > span and _is_mixture(recent[-span - 1], recent[-span - 1 + span // 2], recent[-1])
            for span in SPANS
        )


def _measured(half: Floats) -> _Half:
    return half, float(half @ half)


def _is_mixture(begin: _Half, between: _Half, end: _Half) -> bool:
    """Return whether the middle one of three frames, at half the size, is a mixture of the others, of two shots."""
    (first, before), (middle, detail), (last, after) = begin, between, end
    noise = HALF_NOISE * len(first)
    apart = before + after - 2 * float(first @ last)
    change = apart / (before + after + noise)
    if change < MIN_CHANGE or after < MIN_LAST * before:
        return False
    if float(np.mean(_changes_of_blocks(first, last) >= MIN_BLOCK_CHANGE)) < MIN_BLOCKS:
        return False
    residual = float(((middle - (first + last) / 2) ** 2).sum()) / apart
    dip = 1 - 2 * detail / (before + after)
    return residual <= MAX_RESIDUAL and dip >= MIN_DIP * change


def _changes_of_blocks(first: Floats, last: Floats) -> Floats:
    """Return the share of each block's detail that differs, shape (blocks,)."""
    shape = (HALF_ROWS * BLOCK_COLUMNS, -1)
    a, b = first.reshape(shape), last.reshape(shape)
    changes: Floats = ((a - b) ** 2).mean(axis=1) / ((a**2).mean(axis=1) + (b**2).mean(axis=1) + HALF_NOISE)
    return changes


def _halves(frames: Floats) -> Floats:
    """Return the blocks of frames at half the size, shape (N, pixels).

    They have half precision, as in a checkpoint.
    """
    pairs = frames[:, ::2] + frames[:, 1::2]
    small = (pairs[:, :, ::2] + pairs[:, :, 1::2]) * np.float32(0.25)
    return _blocks(small, HALF_ROWS, BLOCK_COLUMNS).astype(np.float16).astype(np.float32)


def _blocks(frames: Floats, down: int, across: int) -> Floats:
    """Return the pixels of frames block by block, without the blocks' means: shape (N, pixels)."""
    count, rows, columns = frames.shape
    grid = frames.reshape(count, down, rows // down, across, columns // across)
    blocks = grid.transpose(0, 1, 3, 2, 4).reshape(count, down * across, -1)
    centred: Floats = (blocks - blocks.mean(axis=2, keepdims=True)).reshape(count, -1)
    return centred


def _change(before: Floats, after: Floats) -> float:
    """Return the share of detail that the frames do not have in common: 0 for one view, about 1 for two."""
    pixels = len(before) // (BLOCK_ROWS * BLOCK_COLUMNS)
    common = 2.0 * float(before @ after) / pixels
    detail = (float(before @ before) + float(after @ after)) / pixels
    return 1.0 - (common + NOISE_VARIANCE) / (detail + NOISE_VARIANCE)
