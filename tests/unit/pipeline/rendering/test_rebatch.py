"""Batches of a resumed stream are those of the whole one."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engines.frames import Frame, FrameBatch
from pipeline.rendering.rebatch import aligned
from pipeline.segments.segment import SegmentGrid

SEGMENT_FRAMES = 10
FRAME = np.zeros((2, 2), np.uint8), np.zeros((1, 1, 2), np.uint8)


def batches(first: int, count: int, size: int) -> list[FrameBatch]:
    frames = [Frame(*FRAME, pts, 1) for pts in range(first, count)]
    return [FrameBatch(tuple(frames[n : n + size]), Fraction(1, 30)) for n in range(0, len(frames), size)]


@given(st.integers(0, 9), st.integers(1, 90), st.integers(1, 9), st.integers(1, 9))
def test_cuts_are_those_of_the_whole_stream(segment: int, count: int, size: int, decoded: int) -> None:
    grid = SegmentGrid(0, Fraction(1, 30), SEGMENT_FRAMES / 30)
    begin = min(segment * SEGMENT_FRAMES, count - 1) // SEGMENT_FRAMES * SEGMENT_FRAMES
    cut = [[f.pts for f in batch.frames] for batch in aligned(batches(begin, count, decoded), size, grid)]
    whole = [[f.pts for f in batch.frames] for batch in aligned(batches(0, count, 8), size, grid)]
    assert cut == [batch for batch in whole if batch[0] >= begin]
    assert all(len(batch) <= size and batch[0] // SEGMENT_FRAMES == batch[-1] // SEGMENT_FRAMES for batch in cut)
    assert [pts for batch in cut for pts in batch] == list(range(begin, count))
