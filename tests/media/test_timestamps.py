"""Times come out as the container has them; where it has none or nonsense, as the documentation promises."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.cpu.decode import PyAvDecoder
from engines.media.probe import probe
from engines.video.timeline import Slot, Timeline, step_ticks
from tests.support.decoding import assert_same_tail, decoded
from tests.support.synth import Audio, Clip, combed, number_in

UNEVEN = [0, 33, 50, 133, 200, 210, 350, 360, 400, 1000, 1001, 1050, 1090, 1200, 2200, 2210, 2250, 2300]
MILLISECONDS = Fraction(1, 1000)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov", "ts"])
def test_uneven_times_are_kept(tmp_path: Path, suffix: str) -> None:
    path = Clip(pts=UNEVEN, time_base=MILLISECONDS).write(tmp_path / f"uneven.{suffix}")
    frames, time_base = decoded(path), probe(path).video.time_base
    start = frames[0].pts
    assert [number_in(f.y) for f in frames] == list(range(len(UNEVEN)))
    assert [round((f.pts - start) * time_base * 1000) for f in frames] == UNEVEN
    assert_same_tail(path, range(len(UNEVEN)))


def test_uneven_times_survive_deinterlacing(tmp_path: Path) -> None:
    clip = Clip(pts=UNEVEN, time_base=MILLISECONDS, interlaced=True, draw=combed)
    path = clip.write(tmp_path / "fields.mkv")
    assert [f.pts for f in decoded(path)] == UNEVEN


def test_a_transport_stream_keeps_its_offset(tmp_path: Path) -> None:
    path = Clip(pts=range(300, 360)).write(tmp_path / "late.ts")
    frames, video = decoded(path), probe(path).video
    assert frames[0].pts == video.start_pts == 10 * 90_000
    assert {b.pts - a.pts for a, b in pairwise(frames)} == {3000}
    assert_same_tail(path, (0, 1, 13, 30, 59))


@pytest.mark.parametrize(("codec", "suffix"), [("mpeg4", "avi"), ("libx264", "avi"), ("libx264", "h264")])
def test_without_presentation_times_frames_follow_each_other_evenly(tmp_path: Path, codec: str, suffix: str) -> None:
    path = Clip(codec=codec, frames=40, options={"bf": "2", "g": "12"}).write(tmp_path / f"clip.{suffix}")
    frames = decoded(path)
    assert [number_in(f.y) for f in frames] == list(range(40))
    assert len({b.pts - a.pts for a, b in pairwise(frames)}) == 1
    assert_same_tail(path, (0, 13, 30))


def test_repeated_times_move_to_the_next_free_tick(tmp_path: Path) -> None:
    path = rewritten(Clip(frames=10, options={"bf": "0"}), tmp_path / "double.mkv", lambda n, t: t - t % 100)
    frames = decoded(path)
    assert [number_in(f.y) for f in frames] == list(range(10))
    assert [f.pts for f in frames] == [0, 1, 2, 100, 101, 102, 200, 201, 202, 300]


def test_the_last_frame_lasts_as_long_as_its_packet_says(tmp_path: Path) -> None:
    assert decoded(Clip(frames=5).write(tmp_path / "clip.mp4"))[-1].duration == 512


def test_a_single_frame_has_a_duration(tmp_path: Path) -> None:
    for suffix in ("mp4", "mkv", "ts", "avi"):
        (frame,) = decoded(Clip(frames=1).write(tmp_path / f"one.{suffix}"))
        assert frame.duration > 0


def test_frames_that_an_edit_list_hides_do_not_come(tmp_path: Path) -> None:
    """A recording cut without re-encoding keeps the frames back to the keyframe, marked as not to be shown."""
    whole = Clip(frames=48).write(tmp_path / "whole.mp4")
    path = tmp_path / "cut.mp4"
    with av.open(str(whole)) as source, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0], opaque=True)
        for packet in source.demux(video=0):
            if packet.dts is None:
                continue
            packet.pts, packet.dts = packet.pts - 5 * 512, packet.dts - 5 * 512
            packet.stream = stream
            out.mux(packet)
    frames = decoded(path)
    assert [number_in(f.y) for f in frames] == list(range(5, 48))
    assert frames[0].pts == probe(path).video.start_pts
    assert_same_tail(path, (0, 5, 20))


def test_fragmented_mp4(tmp_path: Path) -> None:
    options = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    path = Clip(frames=60, container_options=options).write(tmp_path / "fragments.mp4")
    assert [number_in(f.y) for f in decoded(path)] == list(range(60))
    assert_same_tail(path, (0, 11, 12, 13, 40, 59))


def test_matroska_without_an_index(tmp_path: Path) -> None:
    path = Clip(frames=60, container_options={"live": "1"}).write(tmp_path / "live.mkv")
    assert [number_in(f.y) for f in decoded(path)] == list(range(60))
    assert_same_tail(path, (0, 13, 40, 59))


@pytest.mark.parametrize(
    ("codec", "suffix", "options"),
    [
        ("libx264", "mp4", {"x264-params": "open-gop=1:keyint=12:min-keyint=12:bframes=3", "preset": "veryfast"}),
        ("libx264", "ts", {"x264-params": "open-gop=1:keyint=12:min-keyint=12:bframes=3", "preset": "veryfast"}),
        ("libx264", "ts", {"x264-params": "intra-refresh=1:keyint=12", "preset": "veryfast"}),
        ("libx264", "mkv", {"x264-params": "intra-refresh=1:keyint=12", "preset": "veryfast"}),
        ("libx265", "mp4", {"x265-params": "open-gop=1:keyint=12:min-keyint=12:bframes=3:log-level=none"}),
        ("mpeg2video", "ts", {"g": "12", "bf": "2"}),
        ("mpeg2video", "mpg", {"g": "12", "bf": "2"}),
        ("libvpx-vp9", "webm", {"deadline": "good", "cpu-used": "5", "lag-in-frames": "16", "auto-alt-ref": "1"}),
        ("libvpx", "webm", {"deadline": "good", "cpu-used": "5", "lag-in-frames": "16", "auto-alt-ref": "1"}),
        ("libx264", "flv", {}),
    ],
)
def test_every_kind_of_group_of_frames_resumes_exactly(
    tmp_path: Path, codec: str, suffix: str, options: dict[str, str]
) -> None:
    path = Clip(codec=codec, frames=60, options=options).write(tmp_path / f"clip.{suffix}")
    assert [number_in(f.y) for f in decoded(path)] == list(range(60))
    assert_same_tail(path, (0, 11, 12, 13, 35, 36, 37, 59))


@pytest.mark.parametrize("second_starts_s", [0, 2, 4000])
def test_recordings_glued_together_go_on_where_the_first_ends(tmp_path: Path, second_starts_s: int) -> None:
    parts = [
        Clip(frames=90, audio=[Audio(length_s=3)]),
        Clip(
            pts=range(30 * second_starts_s, 30 * second_starts_s + 60),
            audio=[Audio(length_s=2, start_s=second_starts_s)],
        ),
    ]
    path = tmp_path / "glued.ts"
    path.write_bytes(b"".join(clip.write(tmp_path / "part.ts").read_bytes() for clip in parts))
    frames = decoded(path)
    assert [number_in(f.y) for f in frames] == [*range(90), *range(60)]
    steps = [b.pts - a.pts for a, b in pairwise(frames)]
    assert all(step == 3000 for step in steps[:89] + steps[90:])
    assert 0 < steps[89] < 18_000
    assert_same_tail(path, (0, 85, 90, 95, 149))


def rewritten(clip: Clip, path: Path, time: Callable[[int, int], int]) -> Path:
    """A clip without B-frames, stored again with times of one's own."""
    part = clip.write(path.with_name("part" + path.suffix))
    with av.open(str(part)) as source, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0], opaque=True)
        for number, packet in enumerate(p for p in source.demux(video=0) if p.pts is not None):
            packet.pts = packet.dts = time(number, packet.pts)
            packet.stream = stream
            out.mux(packet)
    return path


# The timeline alone: packets in, frames in whatever order, slots out.


def packet(pts: int | None, dts: int | None = None, duration: int = 1) -> Any:
    return SimpleNamespace(pts=pts, dts=dts, duration=duration)


def timeline(hidden: bool = False) -> Timeline[str]:
    return Timeline(step=1, hidden_packets=hidden)


def drive(line: Timeline[str], times: list[int | None], order: list[int]) -> list[Slot[str]]:
    """Announce all times, place the frames of the given packets in the given order."""
    numbers = [line.announce(packet(t, i)) for i, t in enumerate(times)]
    slots = [slot for i in order for slot in line.place(numbers[i], f"frame {i}")]
    return slots + line.finish()


def test_a_lost_frame_leaves_its_place_empty() -> None:
    slots = drive(timeline(), [0, 10, 20, 30, 40], [0, 1, 3, 4])
    assert [(s.pts, s.frame is None) for s in slots] == [(t, t == 20) for t in (0, 10, 20, 30, 40)]


def test_a_hidden_packet_leaves_no_place_unless_the_codec_complained() -> None:
    assert len(drive(timeline(hidden=True), [0, 10, 20, 30], [0, 1, 3])) == 3
    line = timeline(hidden=True)
    line.report_error()
    assert len(drive(line, [0, 10, 20, 30], [0, 1, 3])) == 4


def test_times_in_decoding_order_are_dealt_out_in_order() -> None:
    slots = drive(timeline(), [0, 10, 20, 30, 40], [0, 2, 1, 4, 3])
    assert [s.pts for s in slots] == [0, 10, 20, 30, 40]
    assert [s.frame for s in slots] == [f"frame {i}" for i in (0, 2, 1, 4, 3)]


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=40), st.data())
def test_every_announced_time_comes_out_once_and_times_rise(times: list[int], data: st.DataObject) -> None:
    shown = sorted(range(len(times)), key=lambda i: (times[i], i))
    kept = [i for i in shown if data.draw(st.booleans())]
    slots = drive(timeline(), list(times), kept)
    assert len(slots) == len(times)
    assert all(a.pts < b.pts for a, b in pairwise(slots))
    assert [s.frame for s in slots if s.frame] == [f"frame {i}" for i in kept]
    if len(set(times)) == len(times):
        assert [s.pts for s in slots] == sorted(times)


def test_a_step_is_never_zero() -> None:
    assert step_ticks(Fraction(30), Fraction(1, 15360)) == 512
    assert step_ticks(Fraction(240), Fraction(1, 30)) == 1


def test_decoding_stops_when_asked(tmp_path: Path) -> None:
    path = Clip(frames=60).write(tmp_path / "clip.mp4")
    decoder = PyAvDecoder(path, probe(path), max_surface_pixels=10**7)
    batches = decoder.batches(size=4)
    next(batches)
    decoder.close()
    assert list(batches) == []
