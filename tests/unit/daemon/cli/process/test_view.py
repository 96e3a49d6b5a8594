"""Percent and time left: of the whole job, not of its longest stage; never backwards."""

from __future__ import annotations

from dataclasses import replace

import pytest

from daemon.cli.process.view import speed
from pipeline.job import Progress
from pipeline.telemetry.throughput import Throughput

BEGIN = Progress("render", frames_done=1, seconds_done=1.0, duration_s=100.0, fps=1.0)


@pytest.mark.parametrize("with_debug", [False, True])
def test_percent_never_goes_back_and_ends_at_100(with_debug: bool) -> None:
    stages = ["render", "assemble", "verify", *(["debug"] if with_debug else [])]
    steps = [
        replace(BEGIN, stage=stage, seconds_done=done, with_debug=with_debug)
        for stage in stages
        for done in (0, 50, 100, 120)
    ]
    percents = [step.percent for step in steps]
    assert percents == sorted(percents)  # type: ignore[type-var]
    assert (percents[0], percents[-1]) == (0.0, 100.0)


@pytest.mark.parametrize("with_debug", [False, True])
def test_the_time_left_counts_every_stage(with_debug: bool) -> None:
    """Rendering at twice real time takes 50 s; the other stages come on top, and as much again for a debug video."""
    render = replace(BEGIN, seconds_done=0.0, render_s=50.0, with_debug=with_debug)
    whole = 50.0 / 0.97 * (2 if with_debug else 1)
    assert render.left_s == pytest.approx(whole)
    assert replace(render, seconds_done=50.0).left_s == pytest.approx(whole - 25.0)
    assert replace(render, stage="assemble", seconds_done=100.0).left_s < whole - 50.0  # type: ignore[operator]
    assert replace(render, stage="verify", seconds_done=0.0).left_s > 0  # type: ignore[operator]


def test_percent_and_time_are_absent_until_they_are_known() -> None:
    assert BEGIN.left_s is None
    assert Progress("probe").percent is None
    assert replace(BEGIN, render_s=50.0, duration_s=None).left_s is None


@pytest.mark.parametrize(
    ("stage", "level", "words"),
    [
        ("render", "normal", "1 fps, 1.0x realtime, 1:39 left"),
        ("render", "downscale", "1 fps, 1.0x realtime, 1:39 left, softer frames"),
        ("render", "frame_skip", "1 fps, 1.0x realtime, 1:39 left, fewer and softer frames"),
        ("wait", "pause", "paused: the disk [full] is full"),
        ("verify", "downscale", "verify, softer frames"),
    ],
)
def test_the_bar_shows_reduced_quality(stage: str, level: str, words: str) -> None:
    reason = "" if level == "normal" else "the disk [full] is full"
    assert speed(replace(BEGIN, stage=stage, level=level, level_reason=reason, render_s=97.0)) == words


def test_throughput_is_not_shown_after_the_first_batch() -> None:
    now = [0.0]
    throughput = Throughput(window_s=10.0, least_s=1.0, now=lambda: now[0])
    assert throughput.update(16) == 0.0
    now[0] = 0.1
    assert throughput.update(32) == 0.0
    now[0] = 2.0
    assert throughput.update(76) == pytest.approx(30.0)
    now[0] = 14.0
    assert throughput.update(76 + 120) == pytest.approx(10.0)
