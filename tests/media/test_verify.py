"""Verification passes good files and refuses what must not be delivered."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from engines.media.verify import VerifyFailedError, verify_mp4
from tests.support.damage import noisy, packets_of, spoil, zeroed
from tests.support.synth import Audio, Clip

FASTSTART = {"movflags": "+faststart"}


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return Clip(frames=90, audio=[Audio()], container_options=FASTSTART).write(tmp_path / "good.mp4")


def check(path: Path, **changed: Any) -> None:
    expected = {"expected_frames": 90, "expected_span_s": 89 / 30, "width": 320, "height": 180} | changed
    verify_mp4(path, **expected)


@pytest.mark.parametrize("keyframes_only", [False, True])
def test_a_good_file_passes(good: Path, keyframes_only: bool) -> None:
    check(good, keyframes_only=keyframes_only)


def test_uneven_times_pass(tmp_path: Path) -> None:
    path = Clip(pts=[0, 33, 50, 133, 900, 910], time_base=Fraction(1, 1000)).write(tmp_path / "uneven.mp4")
    check(path, expected_frames=6, expected_span_s=0.91)


@pytest.mark.parametrize(
    "changed",
    [
        {"expected_frames": 91},
        {"expected_frames": 89},
        {"expected_span_s": 3.0},
        {"expected_span_s": 2.9},
        {"width": 322},
        {"height": 90},
    ],
)
@pytest.mark.parametrize("keyframes_only", [False, True])
def test_what_was_not_ordered_is_refused(good: Path, changed: dict[str, Any], keyframes_only: bool) -> None:
    with pytest.raises(VerifyFailedError):
        check(good, keyframes_only=keyframes_only, **changed)


@pytest.mark.parametrize("how", [zeroed, noisy])
@pytest.mark.parametrize("place", [3, 45, 89])
def test_a_damaged_frame_is_refused(good: Path, how: Any, place: int) -> None:
    spoil(good, [place], how)
    with pytest.raises(VerifyFailedError):
        check(good)


@pytest.mark.parametrize("which", [0, 1, 2, None])
def test_the_short_check_sees_keyframes_and_the_end(good: Path, which: int | None) -> None:
    with av.open(str(good)) as container:
        keyframes = [n for n, p in enumerate(container.demux(video=0)) if p.is_keyframe]
    spoil(good, [89 if which is None else keyframes[which]], zeroed)
    with pytest.raises(VerifyFailedError):
        check(good, keyframes_only=True)


@pytest.mark.parametrize("keyframes_only", [False, True])
def test_a_cut_file_is_refused(good: Path, keyframes_only: bool) -> None:
    offset, _ = packets_of(good)[60]
    good.write_bytes(good.read_bytes()[:offset])
    with pytest.raises(VerifyFailedError):
        check(good, keyframes_only=keyframes_only)


def test_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tiny.mp4"
    path.write_bytes(bytes(112))
    with pytest.raises(VerifyFailedError):
        check(path)


def test_what_the_file_holds_is_told_of_all_streams(tmp_path: Path) -> None:
    audio = [Audio(length_s=1.0), Audio(start_s=0.5, length_s=2.0)]
    path = Clip(frames=90, audio=audio, container_options=FASTSTART).write(tmp_path / "two.mp4")
    held = verify_mp4(path, expected_frames=90, expected_span_s=89 / 30, width=320, height=180)
    assert (held.video.packets, held.video.first_s, held.video.end_s) == (90, 0.0, pytest.approx(3.0, abs=0.01))
    assert [round(audio.end_s or 0, 1) for audio in held.audio] == [1.0, 2.5]
    assert held.subtitles == ()
