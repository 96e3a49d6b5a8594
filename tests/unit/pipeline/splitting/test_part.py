"""The parts of a recording cover its rest, and begin where segments do."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.frames import ColorTags, MediaInfo, VideoInfo
from pipeline.rendering.frame_rate import output_rate
from pipeline.segments.segment import SegmentGrid
from pipeline.settings import ProfileSettings
from pipeline.splitting.part import LEAST_SEGMENTS, PARTS_PER_WORKER, Part, obstacle, plan_parts

VIDEO = VideoInfo(
    "h264", 640, 360, 640, 360, "yuv420p", 8, Fraction(30), False, None, 0, Fraction(1), False, Fraction(1, 90_000), 0,
    None, ColorTags(),
)  # fmt: skip
INFO = MediaInfo("mov,mp4,m4a,3gp,3g2,mj2", 1, 600.0, VIDEO, ())
TIME_BASES = [Fraction(1, 90_000), Fraction(1, 1000), Fraction(1, 30), Fraction(1001, 30_000), Fraction(1, 15_360)]


def info(time_base: Fraction, duration_s: float) -> MediaInfo:
    return replace(INFO, duration_s=duration_s, video=replace(VIDEO, time_base=time_base))


@given(
    time_base=st.sampled_from(TIME_BASES),
    start_pts=st.integers(-(10**6), 10**12),
    segment_s=st.sampled_from([1.0, 1.7, 10.0, 59.94]) | st.floats(1, 60),
    done=st.integers(0, 200),
    rest=st.floats(0.01, 400),
    chunk_s=st.floats(10, 3600),
    workers=st.integers(1, 16),
)
def test_parts_cover_the_rest_and_begin_on_the_grid(
    time_base: Fraction, start_pts: int, segment_s: float, done: int, rest: float, chunk_s: float, workers: int
) -> None:
    next_pts = start_pts + math.ceil(done * Fraction(segment_s) / time_base)
    grid = SegmentGrid(start_pts, time_base, segment_s)
    parts = plan_parts(
        info(time_base, (done + rest) * segment_s), start_pts, next_pts,
        segment_s=segment_s, chunk_s=chunk_s, workers=workers,
    )  # fmt: skip
    assert (parts[0].from_pts, parts[-1].to_pts) == (next_pts, None)
    assert [part.index for part in parts] == list(range(len(parts)))
    for a, b in pairwise(parts):
        assert (a.to_pts, a.end_segment) == (b.from_pts, b.first_segment)
        assert grid.index(b.from_pts - 1) < grid.index(b.from_pts) == b.first_segment
    assert parts[0].first_segment == done == grid.index(next_pts)
    assert parts[-1].end_segment == max(done + 1, math.ceil(done + rest - 1e-6))
    most = max(LEAST_SEGMENTS, round(chunk_s / segment_s))
    assert all(LEAST_SEGMENTS <= part.end_segment - part.first_segment <= most for part in parts[:-1])
    assert parts[-1].end_segment - parts[-1].first_segment < most + LEAST_SEGMENTS


def lengths(parts: list[Part]) -> set[int]:
    return {part.end_segment - part.first_segment for part in parts}


def test_parts_are_short_enough_for_all_workers() -> None:
    parts = plan_parts(INFO, 0, 0, segment_s=10, chunk_s=600, workers=5)
    assert len(parts) == 5 * PARTS_PER_WORKER
    assert lengths(parts) == {4}


def test_parts_are_no_longer_than_asked() -> None:
    assert lengths(plan_parts(INFO, 0, 0, segment_s=10, chunk_s=60, workers=1)) == {6}


MPEG_TS = replace(INFO, container="mpegts")
FAST = replace(INFO, video=replace(VIDEO, fps=Fraction(120)))
NO_LENGTH = replace(INFO, duration_s=None)
INTERLACED = replace(INFO, video=replace(VIDEO, interlaced=True))


@pytest.mark.parametrize(
    ("source", "profile", "reason"),
    [
        (MPEG_TS, {}, "files of the kind mpegts cannot be cut exactly"),
        (replace(INFO, container="avi"), {}, "files of the kind avi cannot be cut exactly"),
        (replace(INFO, container="mpeg"), {}, "files of the kind mpeg cannot be cut exactly"),
        (INFO, {"frame_rate": "constant"}, "its frame rate is changed"),
        (FAST, {}, "its frame rate is changed"),
        (NO_LENGTH, {}, "its length is unknown"),
        (INTERLACED, {}, "it is interlaced"),
        (INFO, {}, ""),
        (replace(INFO, container="matroska,webm"), {}, ""),
    ],
)
def test_what_cannot_be_split_is_explained(source: MediaInfo, profile: dict[str, str], reason: str) -> None:
    assert obstacle(output_rate(source, ProfileSettings(**profile))) == reason
