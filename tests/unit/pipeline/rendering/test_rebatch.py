"""Batches of a resumed stream are those of the whole one."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engines.frames import Frame, FrameBatch
from pipeline.rendering.rebatch import aligned

FRAME = np.zeros((2, 2), np.uint8), np.zeros((1, 1, 2), np.uint8)


def batches(first: int, count: int, size: int) -> list[FrameBatch]:
    frames = [Frame(*FRAME, pts, 1) for pts in range(first, count)]
    return [FrameBatch(tuple(frames[n : n + size]), Fraction(1, 30)) for n in range(0, len(frames), size)]


@given(st.integers(0, 60), st.integers(1, 60), st.integers(1, 9))
def test_cuts_are_those_of_the_whole_stream(done: int, more: int, size: int) -> None:
    count = done + more
    cut = [[f.pts for f in batch.frames] for batch in aligned(batches(done, count, size), size, done)]
    whole = [[f.pts for f in batch.frames] for batch in batches(0, count, size)]
    assert cut == [rest for batch in whole if (rest := [pts for pts in batch if pts >= done])]
