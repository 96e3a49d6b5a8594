"""Which frames become frames of the output: exact times, even movement, the same from any place on."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.frames import ColorTags, Frame, FrameBatch, MediaInfo, VideoInfo
from pipeline.rendering.frame_rate import OutputRate, nominal_fps, output_rate
from pipeline.settings import ProfileSettings

TICKS = 48_000
MS = 48  # ticks
TIME_BASE = Fraction(1, TICKS)


def source(fps: Fraction, *, vfr: bool = False, duration_s: float | None = None) -> MediaInfo:
    video = VideoInfo(
        "h264", 64, 36, 64, 36, "yuv420p", 8, fps, vfr, None, 0, Fraction(1), False, TIME_BASE, 0, duration_s,
        ColorTags(),
    )  # fmt: skip
    return MediaInfo("matroska,webm", 1, duration_s, video, ())


class FakeDecoder:
    """Gives empty frames of the given times; the replaced flag of every third tells them apart."""

    def __init__(self, times: list[int], last_duration: int = 40 * MS) -> None:
        ends = [*times[1:], times[-1] + last_duration]
        y, uv = np.zeros((2, 2), np.uint8), np.zeros((1, 1, 2), np.uint8)
        self.frames = [Frame(y, uv, t, e - t, n % 3 == 0) for n, (t, e) in enumerate(zip(times, ends, strict=True))]

    def batches(self, start_pts: int | None = None, size: int = 8) -> Iterator[FrameBatch]:
        frames = [f for f in self.frames if start_pts is None or f.pts >= start_pts]
        for first in range(0, len(frames), size):
            yield FrameBatch(tuple(frames[first : first + size]), TIME_BASE)


def given_out(rate: OutputRate, times: list[int], start_pts: int | None = None, size: int = 8) -> list[Frame]:
    decoder = FakeDecoder(times)
    return [f for batch in rate.batches(decoder, start_pts, size) for f in batch.frames]  # type: ignore[arg-type]


def even(fps: Fraction | int, count: int) -> list[int]:
    return [round(n * TICKS / fps) for n in range(count)]


PROFILE, CONSTANT = ProfileSettings(), ProfileSettings(frame_rate="constant")


@pytest.mark.parametrize("fps", [24, Fraction(30000, 1001), 50, 60, Fraction("60.3")])
def test_ordinary_sources_pass_untouched(fps: Fraction) -> None:
    info = source(Fraction(fps))
    rate = output_rate(info, PROFILE)
    assert (rate.info, rate.least_step_s, rate.thinned_from_fps) == (info, None, None)


@pytest.mark.parametrize(
    ("fps", "every"), [(90, 2), (100, 2), (Fraction(120000, 1001), 2), (120, 2), (240, 4), (960, 16)]
)
def test_of_fast_sources_every_nth_frame_is_kept_at_its_own_time(fps: Fraction, every: int) -> None:
    times = even(Fraction(fps), 200)
    rate = output_rate(source(Fraction(fps)), PROFILE)
    assert rate.fps == Fraction(fps) / every <= 60
    assert rate.thinned_from_fps == fps
    frames = given_out(rate, times)
    assert [frame.pts for frame in frames] == times[::every]
    assert all(a.pts + a.duration == b.pts for a, b in pairwise(frames))


@pytest.mark.parametrize("fps", [Fraction(125, 2), 72, 75])
def test_of_sources_that_are_a_little_too_fast_one_frame_in_a_few_is_left_out(fps: Fraction) -> None:
    times = even(Fraction(fps), round(fps * 4))
    rate = output_rate(source(Fraction(fps)), PROFILE)
    frames = given_out(rate, times)
    assert (rate.fps, rate.thinned_from_fps, rate.info.video.vfr) == (60, fps, True)
    assert len(frames) == 240
    assert {frame.pts for frame in frames} <= set(times)
    assert max(frame.duration for frame in frames[:-1]) <= 2 * TICKS / fps + 1
    assert [f.pts for f in given_out(rate, times, frames[77].pts)] == [f.pts for f in frames[77:]]


def test_bursts_of_an_uneven_source_are_thinned_and_its_jitter_is_not() -> None:
    rate = output_rate(source(Fraction(30), vfr=True), PROFILE)
    jittering = [t * MS for t in (0, 14, 33, 51, 64, 83, 101)]
    assert [f.pts for f in given_out(rate, jittering)] == jittering
    burst = [t * MS for t in (0, 33, 41, 50, 58, 67, 75, 83, 116)]
    assert [f.pts // MS for f in given_out(rate, burst)] == [0, 33, 50, 67, 83, 116]


def test_a_constant_rate_repeats_and_drops_within_half_a_step() -> None:
    rate = output_rate(source(Fraction(23), vfr=True), CONSTANT)
    times = [t * MS for t in (0, 40, 80, 120, 300, 310, 320, 360, 400)]
    frames = given_out(rate, times)
    time_base = rate.info.video.time_base
    assert rate.fps == Fraction(24000, 1001)
    assert {b.pts - a.pts for a, b in pairwise(frames)} == {frames[0].duration} == {1 / (rate.fps * time_base)}
    assert len(frames) == round(Fraction(440, 1000) * rate.fps)


@given(
    steps=st.lists(st.integers(1, 400 * MS), min_size=1, max_size=60),
    begin=st.integers(-500 * MS, 5000 * MS),
    fps=st.sampled_from([12, 23, 30, 59]),
    place=st.integers(0, 200),
)
def test_a_constant_rate_shows_what_the_source_shows_and_goes_on_the_same_from_any_place(
    steps: list[int], begin: int, fps: int, place: int
) -> None:
    times = [begin]
    for step in steps:
        times.append(times[-1] + step)
    rate = output_rate(source(Fraction(fps), vfr=True), CONSTANT)
    time_base = rate.info.video.time_base
    frames = given_out(rate, times)
    half_s, step_s = Fraction(1, 2) / rate.fps, 1 / rate.fps
    assert {b.pts - a.pts for a, b in pairwise(frames)} <= {step_s / time_base}
    flags = {frame.pts * TIME_BASE: frame.replaced for frame in FakeDecoder(times).frames}
    for frame in frames:
        moment_s = frame.pts * time_base + half_s
        wanted = {flags[max(t for t in flags if t <= near)] for near in (moment_s - time_base, moment_s + time_base)}
        assert frame.replaced in wanted  # the grid's first place is rounded to its ticks
    rest = frames[min(place, len(frames) - 1) :]
    again = given_out(rate, times, rest[0].pts, size=3)
    assert [(f.pts, f.duration, f.replaced) for f in again] == [(f.pts, f.duration, f.replaced) for f in rest]


@given(steps=st.lists(st.integers(1, 60 * MS), min_size=1, max_size=80), place=st.integers(0, 100))
def test_thinning_goes_on_the_same_from_any_frame_it_kept(steps: list[int], place: int) -> None:
    times = [0]
    for step in steps:
        times.append(times[-1] + step)
    rate = output_rate(source(Fraction(50), vfr=True), PROFILE)
    frames = given_out(rate, times)
    rest = frames[min(place, len(frames) - 1) :]
    again = given_out(rate, times, rest[0].pts, size=3)
    assert [(f.pts, f.duration) for f in again] == [(f.pts, f.duration) for f in rest]


def test_a_source_of_one_short_frame_gives_one_frame() -> None:
    rate = output_rate(source(Fraction(30)), CONSTANT)
    assert len([f for b in rate.batches(FakeDecoder([7], 1)) for f in b.frames]) == 1  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fps", "is_steady", "nominal"),
    [
        ("29.9", False, "30000/1001"), ("27.3", False, "30000/1001"), ("24.5", False, "25"),
        ("12", False, "24000/1001"),
        ("57", False, "60000/1001"), ("15", True, "15"), ("48", True, "48"), ("30", True, "30"), ("59.98", True, "60"),
    ],
)  # fmt: skip
def test_rates_are_named_by_the_common_one(fps: str, is_steady: bool, nominal: str) -> None:
    assert nominal_fps(Fraction(fps), Fraction(60), is_steady=is_steady) == Fraction(nominal)


@pytest.mark.parametrize(
    ("fps", "max_fps", "constant"), [(120, 60, 60), (100, 60, 50), (90, 60, 60), (30, 25, 25), (960, 30, 30)]
)
def test_a_constant_rate_below_the_sources_is_a_common_one(fps: int, max_fps: float, constant: int) -> None:
    rate = output_rate(source(Fraction(fps)), ProfileSettings(frame_rate="constant", max_fps=max_fps))
    assert (rate.fps, rate.thinned_from_fps) == (constant, fps)


def test_a_limit_below_all_common_rates_holds_too() -> None:
    profile = ProfileSettings(frame_rate="constant", max_fps=12)
    assert output_rate(source(Fraction(30), vfr=True), profile).fps == 10
    assert output_rate(source(Fraction(240), duration_s=10), PROFILE).info.video.frames_from_header == 600
