"""Frame rates of whole jobs: fast sources, constant rates, and a resume in the middle of either."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

from engines.cpu.encode import X264Encoder
from engines.cuda.encoding.nvenc import tagged
from engines.frames import ColorTags
from engines.media.probe import probe
from engines.settings import EncoderSettings
from pipeline.errors import JobStopped
from pipeline.job import JobSpec
from pipeline.runner import run_job
from pipeline.settings import ProfileSettings, SegmentSettings
from tests.support.assembly import flashes_and_beeps
from tests.support.recordings import packets
from tests.support.synth import Audio, Clip

LEVEL_5_1 = 51
QUICK = {"preset": "ultrafast", "threads": 1}


@dataclass(frozen=True)
class Done:
    """A finished job as a player and a program read it."""

    video: Path
    times_s: list[Fraction]
    rows: list[dict[str, Any]]
    report: dict[str, Any]
    level: int


def run(source: Path, work_dir: Path, *, stops: int = 0, **profile: Any) -> Done:
    """Do a job, and stop it that often on the way."""
    work_dir.mkdir()
    spec = JobSpec(
        "job", source, source.name, work_dir, profile=ProfileSettings(**QUICK, **profile),
        segments=SegmentSettings(seconds=1), debug_overlay=profile.get("frame_rate") == "constant" and not stops,
    )  # fmt: skip
    for _ in range(stops):
        with pytest.raises(JobStopped):
            run_job(spec, on_progress=lambda _: None, should_stop=lambda: True)
    files = run_job(spec, on_progress=lambda _: None, should_stop=lambda: False).files
    with av.open(str(files.video)) as out:
        stream = out.streams.video[0]
        level = stream.codec_context.extradata[3]  # AVCLevelIndication
        times_s = sorted(p.pts * p.time_base for p in out.demux(stream) if p.pts is not None)
    rows = [json.loads(line) for line in gzip.decompress(files.tracks.read_bytes()).splitlines()]
    if files.debug is not None:
        assert len(packets(files.debug)) == len(rows)
    return Done(files.video, times_s, rows, json.loads(files.report.read_bytes()), level)


@pytest.mark.parametrize(("fps", "every", "seconds"), [(120, 2, 1), (960, 16, 0.5)])
def test_a_fast_source_is_thinned_and_keeps_its_times(tmp_path: Path, fps: int, every: int, seconds: float) -> None:
    clip = Clip(width=160, height=90, frames=round(fps * seconds), fps=Fraction(fps), audio=[Audio(length_s=seconds)])
    source = clip.write(tmp_path / "fast.mp4")
    done = run(source, tmp_path / "work")
    assert done.times_s == [Fraction(n * every, fps) for n in range(clip.frames // every)]
    assert len(done.rows) == done.report["output"]["frames"] == clip.frames // every
    assert [row["t"] for row in done.rows] == [round(float(t), 6) for t in done.times_s]
    video = done.report["output"]["video"]
    assert (video["fps"], video["thinned_from_fps"]) == (60, fps)
    assert done.report["output"]["duration_s"] == pytest.approx(seconds)
    assert done.report["resilience"]["dropped_frames"] == 0
    assert done.report["status"] == "succeeded"
    assert done.level <= LEVEL_5_1


def test_the_highest_rate_that_a_profile_allows_stays_within_level_5_1(tmp_path: Path) -> None:
    source = Clip(width=160, height=90, frames=30, fps=Fraction(120)).write(tmp_path / "fast.mp4")
    done = run(source, tmp_path / "work", max_fps=120)
    assert len(done.times_s) == 30
    assert done.level == LEVEL_5_1
    assert done.report["output"]["video"]["thinned_from_fps"] is None


def test_a_stopped_job_thins_on_where_it_was(tmp_path: Path) -> None:
    source = Clip(width=160, height=90, frames=250, fps=Fraction(120)).write(tmp_path / "fast.mp4")
    whole = run(source, tmp_path / "whole")
    parts = run(source, tmp_path / "parts", stops=2)
    assert packets(parts.video) == packets(whole.video)
    assert parts.rows == whole.rows


LIT_MS = (350, 1300)
UNEVEN = [0, 40, 75, 110, 300, 315, 350, 700, 733, 766, 800, 1240, 1260, 1300, 1340, 1900, 1933, 1966, 2000, 2033]


def test_a_constant_rate_is_exact_in_sync_and_the_same_after_a_stop(tmp_path: Path) -> None:
    def flashes(number: int, width: int, height: int) -> VideoFrame:
        frame = VideoFrame(width, height, "yuv420p")
        for plane, level in zip(frame.planes, (235 if UNEVEN[number] in LIT_MS else 20, 128, 128), strict=True):
            np.frombuffer(plane, np.uint8)[:] = level
        return frame

    clip = Clip(
        width=160, height=90, frames=len(UNEVEN), pts=UNEVEN, time_base=Fraction(1, 1000), draw=flashes,
        audio=[Audio("pcm_s16le", [lit / 1000 for lit in LIT_MS], length_s=2.1)],
    )  # fmt: skip
    source = clip.write(tmp_path / "uneven.mkv")
    whole = run(source, tmp_path / "whole", frame_rate="constant")
    fps = Fraction(whole.report["output"]["video"]["fps"]).limit_denominator(1001)
    assert fps == 30, "what the header says, although the frames are uneven"
    assert {b - a for a, b in pairwise(whole.times_s)} == {1 / fps}
    assert whole.report["input"]["video"]["vfr"]
    assert not whole.report["output"]["video"]["vfr"]
    assert len(whole.rows) == whole.report["output"]["frames"] == len(whole.times_s)
    assert whole.report["output"]["duration_s"] == pytest.approx(2.066, abs=0.5 / 30)
    with av.open(str(whole.video)) as out:
        assert out.streams.video[0].average_rate == fps
    lit, beeps = flashes_and_beeps(whole.video)
    assert [beep - flash for flash, beep in zip(lit, beeps, strict=True)] == pytest.approx([0, 0], abs=0.5 / 30 + 0.001)
    parts = run(source, tmp_path / "parts", stops=2, frame_rate="constant")
    assert packets(parts.video) == packets(whole.video)
    assert parts.rows == whole.rows


def test_a_rate_that_the_header_only_guesses_is_measured(tmp_path: Path) -> None:
    """Thinning by a wrong rate would drop frames: FFmpeg takes these milliseconds for 1000 frames a second."""
    clip = Clip(
        width=160,
        height=90,
        frames=60,
        fps=Fraction(1000),
        pts=[n * 100 // 3 for n in range(60)],
        time_base=Fraction(1, 1000),
    )
    source = clip.write(tmp_path / "guessed.mkv")
    with av.open(str(source)) as container:
        assert container.streams.video[0].average_rate > 100, "the header must mislead for the test to mean something"
    assert float(probe(source).video.fps) == pytest.approx(30, rel=0.01)


def test_the_headers_of_a_gpus_encoder_name_no_higher_level() -> None:
    fast = X264Encoder(
        1920, 1080, time_base=Fraction(1, 240), fps=Fraction(240), color=ColorTags(), settings=EncoderSettings(),
        threads=1,
    )  # fmt: skip
    sps = tagged(fast.extradata, ColorTags())
    at = sps.index(b"\x67")
    assert fast.extradata[fast.extradata.index(b"\x67") + 3] > LEVEL_5_1 == sps[at + 3]
