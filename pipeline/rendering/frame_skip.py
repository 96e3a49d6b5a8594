"""Frame skip: frames are left out before anything is done to them, and the one before is shown for longer."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from engines.frames import Frame, FrameBatch
from pipeline.rendering.frame_rate import without


class FrameSkipper:
    """Lets every ``step``-th frame of a stream pass, with its own pts.

    Frames that an earlier attempt's look-ahead has analysed pass where they passed then, whatever the step is now,
    because rows wait for them; so a change of the step sets in behind those.

    Args:
        step: 1 leaves no frame out.
        analysed_pts: of the last frame that was analysed already, which passed; None at the stream's begin.
        skipped: pts of frames that were left out; those at the stream's very end lie behind the last that passed.
    """

    def __init__(self, step: int, *, analysed_pts: int | None = None, skipped: Iterable[int] = ()) -> None:
        self._step = step
        self._analysed_pts = analysed_pts
        self._skipped_before = frozenset(skipped)
        self._count = 0 if analysed_pts is None else 1
        self._skipped: deque[int] = deque()

    def thin(self, batches: Iterable[FrameBatch]) -> Iterator[FrameBatch]:
        """The frames that pass. Each lasts until the next, so it is held until that has come."""
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

    def settle(self, next_pts: int | None) -> int:
        """How many were left out before ``next_pts`` (None: the end) and not counted yet."""
        count = 0
        while self._skipped and (next_pts is None or self._skipped[0] < next_pts):
            self._skipped.popleft()
            count += 1
        return count

    @property
    def skipped(self) -> list[int]:
        """Pts of frames that were left out behind the last settled place."""
        return list(self._skipped)
