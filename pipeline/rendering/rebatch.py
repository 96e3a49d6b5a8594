"""Cuts a stream into batches that do not depend on where it was resumed or split."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from engines.frames import Frame, FrameBatch
from pipeline.segments.segment import SegmentGrid


def aligned(batches: Iterable[FrameBatch], size: int, grid: SegmentGrid) -> Iterator[FrameBatch]:
    """Yield the same frames in batches of ``size`` that are counted from the first frame of each segment.

    The last batch of a segment may be shorter. Faces found in one batch decide when the detector runs in the next, so
    the batches shape the output.

    Args:
        batches: from the first frame of a segment on.
    """
    waiting: list[Frame] = []
    segment: int | None = None
    batch: FrameBatch | None = None
    for batch in batches:
        for frame in batch.frames:
            index = grid.index(frame.pts)
            if waiting and (index != segment or len(waiting) == size):
                yield replace(batch, frames=tuple(waiting))
                waiting = []
            segment = index
            waiting.append(frame)
    if batch is not None and waiting:
        yield replace(batch, frames=tuple(waiting))
