"""Leaving frames out: what passes, how long it is shown, and that a resumed job leaves the same ones out."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engines.frames import Frame, FrameBatch
from pipeline.rendering.frame_skip import FrameSkipper

FRAME = np.zeros((2, 2), np.uint8), np.zeros((1, 1, 2), np.uint8)
TIMES = st.lists(st.integers(1, 9), min_size=1, max_size=40).map(lambda steps: list(np.cumsum(steps)))


def batches(times: Sequence[int], size: int) -> list[FrameBatch]:
    ends = [*times[1:], times[-1] + 5]
    frames = [Frame(*FRAME, int(a), int(b - a)) for a, b in zip(times, ends, strict=True)]
    return [FrameBatch(tuple(frames[n : n + size]), Fraction(1, 30)) for n in range(0, len(frames), size)]


def passed(frame_skipper: FrameSkipper, given: list[FrameBatch]) -> list[tuple[int, int]]:
    return [(f.pts, f.duration) for batch in frame_skipper.thin(given) for f in batch.frames]


def test_nothing_is_touched_where_nothing_is_left_out() -> None:
    given = batches(range(10), 4)
    assert [b is g for b, g in zip(FrameSkipper(1).thin(given), given, strict=True)] == [True] * 3


@given(TIMES, st.integers(1, 8), st.integers(2, 4))
def test_what_passes_covers_the_whole_time(times: list[int], size: int, step: int) -> None:
    frame_skipper = FrameSkipper(step)
    shown = passed(frame_skipper, batches(times, size))
    assert [pts for pts, _ in shown] == times[::step]
    assert sum(duration for _, duration in shown) == times[-1] + 5 - times[0]
    assert all(a + d == b for (a, d), (b, _) in pairwise(shown))
    assert frame_skipper.count_skipped(None) == len(times) - len(shown)


@given(TIMES, st.data())
def test_a_resumed_stream_leaves_out_the_same(times: list[int], data: st.DataObject) -> None:
    """Resumed at a frame that passed, with some behind it analysed already."""
    whole = passed(FrameSkipper(2), batches(times, 4))
    resume, analysed = sorted(data.draw(st.tuples(*[st.integers(0, len(whole) - 1)] * 2)))
    next_pts, analysed_pts = whole[resume][0], whole[analysed][0]
    skipped = sorted(set(times) - {pts for pts, _ in whole})
    frame_skipper = FrameSkipper(2, analysed_pts=analysed_pts, skipped=[pts for pts in skipped if pts > next_pts])
    assert passed(frame_skipper, batches([t for t in times if t >= next_pts], 3)) == whole[resume:]
    assert frame_skipper.count_skipped(None) == sum(pts > next_pts for pts in skipped)


@given(TIMES, st.data())
def test_frames_that_were_analysed_pass_whatever_the_step_is_now(times: list[int], data: st.DataObject) -> None:
    analysed = data.draw(st.integers(0, len(times) - 1))
    down = [pts for pts, _ in passed(FrameSkipper(2, analysed_pts=times[analysed]), batches(times, 4))]
    assert down == times[: analysed + 1] + times[analysed + 2 :: 2]
    left_out = times[1 : analysed + 1 : 2]
    up = [pts for pts, _ in passed(FrameSkipper(1, analysed_pts=times[analysed], skipped=left_out), batches(times, 4))]
    assert up == [t for t in times if t not in left_out]


def test_counts_belong_to_the_segment_in_which_a_frame_would_have_been() -> None:
    frame_skipper = FrameSkipper(2)
    passed(frame_skipper, batches(range(10), 3))
    assert (frame_skipper.count_skipped(4), frame_skipper.skipped) == (2, [5, 7, 9])
    assert (frame_skipper.count_skipped(None), frame_skipper.skipped) == (3, [])


def test_what_was_left_out_at_the_very_end_stays_out_and_counts() -> None:
    """All was analysed when the level rose: nothing that comes behind the last frame that passed can be shown."""
    frame_skipper = FrameSkipper(1, analysed_pts=40, skipped=[10, 30, 50])
    assert [pts for pts, _ in passed(frame_skipper, batches(range(0, 60, 10), 4))] == [0, 20, 40]
    assert frame_skipper.count_skipped(None) == 3
