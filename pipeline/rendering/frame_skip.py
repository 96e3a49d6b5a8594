"""Frame skip: leaves frames out before they are analysed; the frame before is shown for longer."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from engines.frames import Frame, FrameBatch
from pipeline.rendering.frame_rate import without


class FrameSkipper:
    """Passes every ``step``-th frame of a stream, with its own pts.

    Rows of an earlier attempt wait for the frames that its look-ahead has analysed. So up to ``analysed_pts`` the same
    frames pass as in that attempt, and a change of the step takes effect after it.

    Args:
        step: 1 leaves no frame out.
        analysed_pts: pts of the last frame that an earlier attempt has analysed; None at the start of the stream.
        skipped: pts of the frames that the earlier attempt left out; at the end of the stream, some may be larger than
            ``analysed_pts``.
    """

    def __init__(self, step: int, *, analysed_pts: int | None = None, skipped: Iterable[int] = ()) -> None:
        self._step = step
        self._analysed_pts = analysed_pts
        self._skipped_before = frozenset(skipped)
        self._count = 0 if analysed_pts is None else 1
        self._skipped: deque[int] = deque()

    def thin(self, batches: Iterable[FrameBatch]) -> Iterator[FrameBatch]:
        """Yield the frames that pass. Each lasts until the next one, so it is held back until that is known."""
        if self._step == 1 and not self._skipped_before:
            yield from batches
            return
        yield from without(batches, self._leaves_out)

    def _leaves_out(self, kept: Frame | None, frame: Frame) -> bool:
        leaves_out = self._skips(frame.pts) and kept is not None
        if leaves_out:
            self._skipped.append(frame.pts)
        return leaves_out

    def _skips(self, pts: int) -> bool:
        if self._analysed_pts is not None and pts <= self._analysed_pts:
            return pts in self._skipped_before
        self._count += 1
        return pts in self._skipped_before or (self._count - 1) % self._step != 0

    def count_skipped(self, next_pts: int | None) -> int:
        """Return how many frames before ``next_pts`` (None: the end) were left out since the last call."""
        count = 0
        while self._skipped and (next_pts is None or self._skipped[0] < next_pts):
            self._skipped.popleft()
            count += 1
        return count

    @property
    def skipped(self) -> list[int]:
        """Pts of the frames that were left out at or after the last ``next_pts``."""
        return list(self._skipped)
