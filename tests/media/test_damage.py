"""Damaged files: every announced frame comes once at its time, the bad ones replaced and counted."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from engines.cpu.decode import PyAvDecoder
from engines.errors import DecodeFailedError
from engines.frames import Frame
from engines.media.probe import probe
from tests.support.damage import noisy, packets_of, spoil, zeroed
from tests.support.decoding import assert_same_tail, decoded
from tests.support.synth import Clip, combed, number_in

FASTSTART = {"movflags": "+faststart"}


def shown_times(path: Path) -> list[int]:
    with av.open(str(path)) as container:
        return sorted(p.pts for p in container.demux(video=0) if p.pts is not None)


def decode_and_count(path: Path) -> tuple[list[Frame], PyAvDecoder]:
    decoder = PyAvDecoder(path, probe(path), max_surface_pixels=10**7)
    return [f for batch in decoder.batches() for f in batch.frames], decoder


def test_lost_frames_repeat_the_last_good_one(tmp_path: Path) -> None:
    path = Clip(frames=48, options={"bf": "0"}).write(tmp_path / "clip.mp4")
    times = shown_times(path)
    spoil(path, range(16, 20), zeroed)
    frames, decoder = decode_and_count(path)
    assert [f.pts for f in frames] == times
    assert [n for n, f in enumerate(frames) if f.replaced] == [16, 17, 18, 19]
    assert [number_in(f.y) for f in frames[15:20]] == [15] * 5
    assert decoder.replaced_frames == 4
    assert not decoder.truncated


@pytest.mark.parametrize(
    ("codec", "suffix"),
    [
        ("libx264", "mp4"),
        ("libx264", "mkv"),
        ("libx265", "mp4"),
        ("mpeg4", "avi"),
        ("libvpx-vp9", "webm"),
        ("mpeg2video", "mkv"),
        ("prores_ks", "mov"),
        ("mjpeg", "mov"),
    ],
)
@pytest.mark.parametrize("how", [zeroed, noisy])
def test_damage_in_the_middle_changes_neither_number_nor_times(
    tmp_path: Path, codec: str, suffix: str, how: Callable[[bytes], bytes]
) -> None:
    options = {"deadline": "realtime", "cpu-used": "8", "g": "12"} if "vpx" in codec else {}
    pix_fmt = {"prores_ks": "yuv422p10le", "mjpeg": "yuvj420p"}.get(codec, "yuv420p")
    path = Clip(codec=codec, pix_fmt=pix_fmt, frames=60, options=options).write(tmp_path / f"clip.{suffix}")
    whole = decoded(path)
    spoil(path, range(26, 33), how)
    frames, decoder = decode_and_count(path)
    assert [f.pts for f in frames] == [f.pts for f in whole]
    assert decoder.replaced_frames == sum(f.replaced for f in frames)
    assert how is noisy or decoder.replaced_frames >= 6
    assert number_in(frames[-1].y) == 59
    if (codec, how) != ("mjpeg", noisy):  # FFmpeg leaves what was in memory before where a JPEG's data ends early
        assert_same_tail(path, (0, 20, 26, 29, 33, 50))


def test_damage_in_an_interlaced_recording(tmp_path: Path) -> None:
    path = Clip(frames=60, interlaced=True, draw=combed).write(tmp_path / "fields.mp4")
    times = shown_times(path)
    spoil(path, range(26, 33), zeroed)
    frames, decoder = decode_and_count(path)
    assert [f.pts for f in frames] == times
    assert decoder.replaced_frames >= 6
    assert_same_tail(path, (0, 20, 26, 29, 33, 50))


@pytest.mark.parametrize("last", [1, 2, 5, 9])
def test_damage_at_the_very_end(tmp_path: Path, last: int) -> None:
    """The codec meets the error while it is flushed; the frames after it must still come."""
    path = Clip(frames=48).write(tmp_path / "clip.mp4")
    times = shown_times(path)
    spoil(path, [48 - last], zeroed)
    frames, decoder = decode_and_count(path)
    assert [f.pts for f in frames] == times
    assert 1 <= decoder.replaced_frames <= 3
    assert_same_tail(path, (0, 30, 44, 47))


def test_frames_before_the_first_good_one_show_that_one(tmp_path: Path) -> None:
    path = Clip(frames=36, options={"bf": "0"}).write(tmp_path / "clip.mp4")
    times = shown_times(path)
    spoil(path, range(12), zeroed)
    frames, _ = decode_and_count(path)
    assert [f.pts for f in frames] == times
    assert [f.replaced for f in frames] == [True] * 12 + [False] * 24
    assert [number_in(f.y) for f in frames[:13]] == [12] * 13
    assert_same_tail(path, (0, 6, 11, 12))


def test_a_longer_gap_blends_into_the_next_good_frame(tmp_path: Path) -> None:
    path = Clip(frames=96, options={"bf": "0"}).write(tmp_path / "clip.mp4")
    spoil(path, range(20, 70), zeroed)
    frames, _ = decode_and_count(path)
    first_good = next(n for n in range(70, 96) if not frames[n].replaced)
    gap = frames[20:first_good]
    assert all(f.replaced for f in gap)
    distance = [
        (abs(f.y.astype(int) - frames[19].y).mean(), abs(f.y.astype(int) - frames[first_good].y).mean()) for f in gap
    ]
    assert distance == sorted(distance, key=lambda d: d[0])
    assert distance == sorted(distance, key=lambda d: -d[1])
    assert distance[0][0] < 2 > distance[-1][1]
    assert_same_tail(path, (25, 48, 60, 69, 71))


def test_a_very_long_gap_turns_black(tmp_path: Path) -> None:
    path = Clip(frames=110, options={"bf": "0"}).write(tmp_path / "clip.mp4")
    spoil(path, range(20, 90), zeroed)
    frames, decoder = decode_and_count(path)
    assert [number_in(f.y) for f in frames[20:27]] == [19] * 7
    assert {(int(f.y.min()), int(f.y.max()), int(f.uv.min()), int(f.uv.max())) for f in frames[30:90]} == {
        (16, 16, 128, 128)
    }
    assert number_in(frames[109].y) == 109
    assert decoder.replaced_frames >= 70
    assert_same_tail(path, (22, 28, 60, 89, 91))


def test_a_recording_cut_off_after_its_index(tmp_path: Path) -> None:
    path = Clip(frames=60, container_options=FASTSTART).write(tmp_path / "clip.mp4")
    whole = decoded(path)
    with av.open(str(path)) as container:
        times = [p.pts for p in container.demux(video=0) if p.pts is not None]
    offset, size = packets_of(path)[40]
    path.write_bytes(path.read_bytes()[: offset + size // 2])
    frames, decoder = decode_and_count(path)
    assert [f.pts for f in frames] in (sorted(times[:40]), sorted(times[:41]))
    assert all(np.array_equal(a.y, b.y) for a, b in zip(frames[:36], whole, strict=False))
    assert decoder.truncated
    assert_same_tail(path, (0, 20, 36))


@pytest.mark.parametrize("suffix", ["mkv", "ts", "avi", "flv"])
def test_other_containers_cut_off(tmp_path: Path, suffix: str) -> None:
    path = Clip(frames=60).write(tmp_path / f"clip.{suffix}")
    whole = decoded(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    frames, decoder = decode_and_count(path)
    assert 20 < len(frames) < 60
    assert decoder.truncated or suffix in ("ts", "flv")  # whose structure does not tell
    assert [f.pts for f in frames] == [f.pts for f in whole[: len(frames)]]


@pytest.mark.parametrize("suffix", ["mkv", "ts", "avi", "flv", "mp4", "mpg"])
def test_random_damage_everywhere_never_crashes(tmp_path: Path, suffix: str) -> None:
    codec = "mpeg2video" if suffix == "mpg" else "libx264"
    pristine = Clip(codec=codec, frames=90, container_options=FASTSTART if suffix == "mp4" else {})
    data = pristine.write(tmp_path / f"clip.{suffix}").read_bytes()
    for seed in range(6):
        dice = random.Random(seed)
        spoiled = bytearray(data)
        for _ in range(12):
            place = dice.randrange(len(data) // 4, len(data) - 64)
            spoiled[place : place + 48] = dice.randbytes(48)
        path = tmp_path / f"spoiled.{suffix}"
        path.write_bytes(spoiled)
        frames, decoder = decode_and_count(path)
        again, _ = decode_and_count(path)
        assert len(frames) > 20
        assert all(a.pts < b.pts for a, b in pairwise(frames))
        assert decoder.replaced_frames == sum(f.replaced for f in frames)
        assert [(f.pts, f.replaced, f.y.tobytes()) for f in frames] == [
            (f.pts, f.replaced, f.y.tobytes()) for f in again
        ]


def test_a_file_without_any_good_frame(tmp_path: Path) -> None:
    path = Clip(frames=24).write(tmp_path / "clip.mp4")
    info = probe(path)
    spoil(path, range(24), zeroed)
    with pytest.raises(DecodeFailedError):
        list(PyAvDecoder(path, info, max_surface_pixels=10**7).batches())
