"""Streams whose size, pixel aspect or orientation change midway, through every decoder: each part as by itself."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext

from engines.cpu.decode import PyAvDecoder
from engines.cuda.decoding.headers import HeaderWatch
from engines.frames import Frame, Size
from engines.media.probe import probe
from engines.video.seeking import feed_from
from tests.support.cuda_on_host import emulated_decoder, gpu_decoder, hwaccel_decoder, needs_compiler
from tests.support.decoding import all_of, assert_alike
from tests.support.gpu_presence import needs_gpu
from tests.support.synth import Clip, combed, joined, number_in

PIXELS = 1920 * 1088
SAME_DB = 60.0
REALTIME = {"deadline": "realtime", "cpu-used": "8", "g": "30"}
OpenDecoder = Callable[..., PyAvDecoder]

DECODERS = [
    pytest.param(partial(PyAvDecoder), id="pyav"),
    pytest.param(emulated_decoder, id="card-emulated", marks=needs_compiler),
    pytest.param(gpu_decoder, id="nvdec", marks=[pytest.mark.gpu, needs_gpu]),
    pytest.param(hwaccel_decoder, id="pyav-cuda", marks=[pytest.mark.gpu, needs_gpu]),
]


@pytest.fixture(params=DECODERS)
def open_decoder(request: pytest.FixtureRequest) -> OpenDecoder:
    return request.param


def turned(path: Path, source: Path, degrees: int) -> Path:
    """The same frames, with an H.264 message with their rotation."""
    with av.open(str(source)) as given, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(given.streams.video[0], opaque=True)
        messages = BitStreamFilterContext(
            f"h264_metadata=display_orientation=insert:rotate={degrees}", given.streams.video[0], stream
        )
        for packet in (p for p in given.demux(video=0) if p.dts is not None):
            for filtered in messages.filter(packet):
                filtered.stream = stream
                out.mux(filtered)
    return path


def part(path: Path) -> list[Frame]:
    return all_of(PyAvDecoder(path, probe(path), max_surface_pixels=PIXELS))


def seen(frames: list[Frame]) -> list[tuple[Size, Size | None]]:
    """Surface and displayed size of each stretch."""
    sizes = [((f.width, f.height), f.display) for f in frames]
    return [size for n, size in enumerate(sizes) if n == 0 or size != sizes[n - 1]]


CHANGES = {
    "size h264": ([Clip(frames=20), Clip(480, 270, frames=20), Clip(160, 90, frames=20)],
                  [((320, 180), None), ((480, 270), (480, 270)), ((160, 90), (160, 90))]),
    "size hevc": ([Clip(frames=20, codec="libx265"), Clip(480, 270, frames=20, codec="libx265")],
                  [((320, 180), None), ((480, 270), (480, 270))]),
    "aspect h264": ([Clip(frames=20, aspect=Fraction(4, 3)), Clip(frames=20), Clip(frames=20, aspect=Fraction(4, 3))],
                    [((320, 180), None), ((320, 180), (320, 180)), ((320, 180), None)]),
    "aspect mpeg2": ([Clip(frames=20, codec="mpeg2video", aspect=Fraction(1)),
                      Clip(frames=20, codec="mpeg2video", aspect=Fraction(3, 4))],
                     [((320, 180), None), ((320, 180), (240, 180))]),
    "size and aspect": ([Clip(frames=20), Clip(480, 180, frames=20, aspect=Fraction(2, 3))],
                        [((320, 180), None), ((480, 180), None)]),
}  # fmt: skip


@pytest.mark.parametrize("case", CHANGES)
def test_each_part_is_as_it_would_be_by_itself(open_decoder: OpenDecoder, tmp_path: Path, case: str) -> None:
    clips, sizes = CHANGES[case]
    path = joined(tmp_path / "changes.ts", clips)
    frames = all_of(open_decoder(path, probe(path), max_surface_pixels=PIXELS))
    assert seen(frames) == sizes
    assert [number_in(f.y) for f in frames] == list(range(20)) * len(clips)
    for n, clip in enumerate(clips):
        alone = part(clip.write(tmp_path / f"alone{n}.ts"))
        for frame, other in zip(frames[20 * n :], alone, strict=False):
            assert np.array_equal(frame.y, other.y)
            assert np.array_equal(frame.uv, other.uv)


@pytest.mark.parametrize("case", ["size h264", "aspect h264", "aspect mpeg2"])
def test_starting_anywhere_gives_the_tail_of_the_whole(open_decoder: OpenDecoder, tmp_path: Path, case: str) -> None:
    path = joined(tmp_path / "changes.ts", CHANGES[case][0])
    info = probe(path)
    whole = all_of(open_decoder(path, info, max_surface_pixels=PIXELS))
    for first in (1, 19, 20, 21, 39):
        tail = all_of(open_decoder(path, info, max_surface_pixels=PIXELS), whole[first].pts)
        assert_alike(tail, whole[first:], SAME_DB)
        assert [f.display for f in tail] == [f.display for f in whole[first:]]


def test_a_stream_that_is_turned_midway(open_decoder: OpenDecoder, tmp_path: Path) -> None:
    upright = Clip(frames=20, options={"g": "60"}).write(tmp_path / "upright.ts")
    paths = [upright, turned(tmp_path / "turned.ts", upright, 90)]
    path = joined(tmp_path / "changes.ts", paths)
    info = probe(path)
    frames = all_of(open_decoder(path, info, max_surface_pixels=PIXELS))
    assert seen(frames) == [((320, 180), None), ((180, 320), (180, 320))]
    sideways = part(paths[1])
    assert all(np.array_equal(a.y, b.y) for a, b in zip(frames[20:], sideways, strict=True))
    assert np.array_equal(frames[25].y, np.rot90(frames[5].y))  # the message counts anticlockwise
    tail = all_of(open_decoder(path, info, max_surface_pixels=PIXELS), frames[30].pts)
    assert [f.display for f in tail] == [(180, 320)] * 10


@pytest.mark.parametrize("threads", [1, 4, 32])
def test_a_short_recording_that_many_threads_hold_at_once(tmp_path: Path, threads: int) -> None:
    """A codec that drains gives all frames at once, and reports only the pixel aspect of the last."""
    aspects = Fraction(1), Fraction(4, 3), Fraction(3, 2), Fraction(1)
    path = joined(tmp_path / "short.ts", [Clip(frames=5, aspect=aspect) for aspect in aspects])
    frames = all_of(PyAvDecoder(path, probe(path), max_surface_pixels=PIXELS, threads=threads))
    assert [f.display for f in frames[::5]] == [None, (427, 180), (480, 180), None]


@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
def test_recordings_of_calls_grow_in_matroska(open_decoder: OpenDecoder, tmp_path: Path, codec: str) -> None:
    """As browsers write them: one track, larger frames from a keyframe on."""
    clips = [Clip(*size, frames=30, codec=codec, options=REALTIME) for size in ((320, 180), (640, 360))]
    path = joined(tmp_path / "grows.webm", clips)
    info = probe(path)
    frames = all_of(open_decoder(path, info, max_surface_pixels=PIXELS))
    assert seen(frames) == [((320, 180), None), ((640, 360), (640, 360))]
    assert [number_in(f.y) for f in frames] == [*range(30), *range(30)]
    tail = all_of(open_decoder(path, info, max_surface_pixels=PIXELS), frames[45].pts)
    assert_alike(tail, frames[45:], SAME_DB)


@pytest.mark.parametrize(
    ("codec", "options"), [("libvpx-vp9", REALTIME), ("libvpx-vp9", {}), ("libsvtav1", {"preset": "12"})]
)
def test_a_new_size_is_seen_in_the_packets(tmp_path: Path, codec: str, options: dict[str, str]) -> None:
    sizes = (320, 180), (640, 360)
    path = joined(tmp_path / "grows.webm", [Clip(*size, frames=20, codec=codec, options=options) for size in sizes])
    with feed_from(path, 0, None, None) as feed:
        watch = HeaderWatch(probe(path).video, feed.stream)
        packets = [packet for packet in feed.packets if packet is not None and packet.size]
        first = next(n for n, packet in enumerate(packets) if watch.has_changed(packet))
    assert packets[first].pts * packets[first].time_base == pytest.approx(20 / 30, abs=0.02)
    assert packets[first].is_keyframe


def test_no_part_is_larger_than_the_limit(open_decoder: OpenDecoder, tmp_path: Path) -> None:
    path = joined(tmp_path / "grows.ts", [Clip(frames=12), Clip(640, 360, frames=12)])
    frames = all_of(open_decoder(path, probe(path), max_surface_pixels=320 * 180))
    assert seen(frames) == [((320, 180), None), ((320, 180), (640, 360))]


def test_interlaced_frames_that_change_their_aspect(tmp_path: Path) -> None:
    """The codec's facts about a frame go with it through the deinterlacer, which holds it back."""
    fields = partial(Clip, frames=24, codec="mpeg2video", interlaced=True, draw=combed)
    path = joined(tmp_path / "fields.ts", [fields(aspect=Fraction(1)), fields(aspect=Fraction(3, 4))])
    frames = part(path)
    assert [f.display for f in frames] == [None] * 24 + [(240, 180)] * 24
