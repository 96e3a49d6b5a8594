"""Small files that claim to be enormous: refused from what they claim, before memory or time is spent on it."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest
from av.packet import Packet

from engines.cpu.decode import PyAvDecoder
from engines.errors import DecodeFailedError, ExplainedError, IndexTooLargeError, UnsupportedCodecError
from engines.media.probe import probe
from engines.settings import LimitsSettings
from pipeline.errors import TooLargeError, TooLongError
from pipeline.limits import check_limits, within_duration
from tests.support.outcomes import outcome
from tests.support.synth import Audio, Clip

SMALL, LARGE = (160, 120), (640, 480)
LIMITS = LimitsSettings(pixels=320 * 240)
FRAGMENTED = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
_PARENTS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts"}

CODECS = {
    "h264.mp4": ("libx264", {}),
    "h264.ts": ("libx264", {}),
    "h264.mkv": ("libx264", {}),
    "hevc.mp4": ("libx265", {"x265-params": "log-level=none"}),
    "mpeg4.avi": ("mpeg4", {}),
    "mpeg2.ts": ("mpeg2video", {}),
    "mpeg2.mpg": ("mpeg2video", {}),
    "vp8.webm": ("libvpx", {}),
    "vp9.webm": ("libvpx-vp9", {"cpu-used": "8"}),
    "wmv2.wmv": ("wmv2", {}),
    "ffv1.mkv": ("ffv1", {}),
}


def clip(path: Path, size: tuple[int, int] = SMALL, **more: object) -> Path:
    return Clip(width=size[0], height=size[1], frames=6, **more).write(path)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", CODECS)
def test_large_frames_are_refused_undecoded(tmp_path: Path, name: str) -> None:
    codec, options = CODECS[name]
    path = clip(tmp_path / name, LARGE, codec=codec, options=options)
    with pytest.raises(TooLargeError, match="640x480"):
        check_limits(probe(path, max_pixels=LIMITS.pixels), LIMITS)
    check_limits(probe(path, max_pixels=640 * 480), LimitsSettings(pixels=640 * 480))


def test_frames_that_grow_midway_are_not_decoded(tmp_path: Path) -> None:
    """A transport stream whose second part is over the limit: its frames count as damaged."""
    small, large = clip(tmp_path / "small.ts"), clip(tmp_path / "large.ts", (4096, 2304))
    both = tmp_path / "both.ts"
    both.write_bytes(small.read_bytes() + large.read_bytes() + small.read_bytes())
    info = probe(both, max_pixels=LIMITS.pixels)
    assert (info.video.coded_width, info.video.coded_height) == SMALL
    decoder = PyAvDecoder(both, info, max_surface_pixels=10**7)
    frames = [frame for batch in decoder.batches() for frame in batch.frames]
    assert len(frames) >= 12
    assert decoder.replaced_frames > 0
    assert {(frame.width, frame.height) for frame in frames} == {SMALL}


def png(width: int, height: int) -> bytes:
    """A grey frame of any size in a few hundred kilobytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    squeeze, row = zlib.compressobj(9), bytes(width + 1)
    rows = b"".join(squeeze.compress(row) for _ in range(height)) + squeeze.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_a_header_that_understates_the_frame(tmp_path: Path) -> None:
    """A track that says 160x120 around frames of 20000x10000: 200 MB each, from 200 KB.

    FFmpeg makes room for one of them to tell how large they are.
    """
    path, frame = tmp_path / "png.mov", png(20_000, 10_000)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("png", rate=10)
        stream.width, stream.height, stream.pix_fmt = *SMALL, "gray"
        for number in range(3):
            packet = Packet(frame)
            packet.pts = packet.dts = number
            packet.time_base, packet.stream = Fraction(1, 10), stream
            out.mux(packet)
    decoder = "PyAvDecoder(path, probe(path, max_pixels=35_389_440), max_surface_pixels=10**7)"
    assert outcome(path, f"list({decoder}.batches())", most_mib=250) == DecodeFailedError.__name__


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", 8 + len(body)) + kind + body


def with_boxes(data: bytes, changed: dict[bytes, bytes]) -> bytes:
    """An MP4 whose index, which must come last, has other contents in some boxes."""
    parts, at = [], 0
    while at < len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        body = data[at + 8 : at + size]
        parts.append(box(kind, with_boxes(body, changed) if kind in _PARENTS else changed.get(kind, body)))
        at += size
    return b"".join(parts)


def full(*numbers: int) -> bytes:
    return struct.pack(f">{len(numbers) + 1}I", 0, *numbers)


def every_sample_alike(count: int) -> dict[bytes, bytes]:
    """Any number of samples of one byte at one place, in four small boxes."""
    return {
        b"stsz": full(1, count),
        b"stsc": full(1, 1, count, 1),
        b"stco": full(1, 48),
        b"stts": full(1, count, 512),
        b"stss": full(1, 1),
    }


def many_samples(path: Path) -> None:
    path.write_bytes(with_boxes(clip(path).read_bytes(), every_sample_alike(170_000_000)))


def many_edits(path: Path) -> None:
    """Twenty thousand samples, shown five thousand times."""
    edits = full(5000) + struct.pack(">IiHH", 40_000, 0, 1, 0) * 5000
    path.write_bytes(with_boxes(clip(path).read_bytes(), every_sample_alike(20_000) | {b"elst": edits}))


def many_samples_in_a_fragment(path: Path) -> None:
    data = bytearray(clip(path, container_options=FRAGMENTED).read_bytes())
    at = data.index(b"trun")
    data[at + 4 : at + 12] = struct.pack(">II", 1, 150_000_000)
    path.write_bytes(data)


@pytest.mark.parametrize("make", [many_samples, many_edits, many_samples_in_a_fragment])
def test_an_index_without_end_is_refused_unread(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "bomb.mp4")
    assert outcome(tmp_path / "bomb.mp4", "probe(path)", most_mib=50) == IndexTooLargeError.__name__
    with pytest.raises(IndexTooLargeError, match="samples"):
        probe(tmp_path / "bomb.mp4")


def test_a_compressed_index_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cmov.mov"
    path.write_bytes(box(b"ftyp", b"qt  \0\0\0\0") + box(b"moov", box(b"cmov", bytes(40))))
    with pytest.raises(UnsupportedCodecError, match="compressed"):
        probe(path)


@pytest.mark.parametrize("codec", ["pcm_s16le", "aac"])
@pytest.mark.parametrize("options", [{}, FRAGMENTED])
def test_ordinary_indexes_pass(tmp_path: Path, codec: str, options: dict[str, str]) -> None:
    assert probe(clip(tmp_path / "x.mov", audio=[Audio(codec)], container_options=options)).audio


def decode_within(path: Path, limits: LimitsSettings) -> None:
    info = probe(path)
    check_limits(info, limits)
    batches = PyAvDecoder(path, info, max_surface_pixels=10**7).batches(None, 4)
    for _ in within_duration(batches, 0, limits):
        pass


def live(path: Path, **more: object) -> Path:
    """Matroska as a live recorder writes it: without a duration."""
    return clip(path, options={"bf": "0"}, container_options={"live": "1"}, **more)


@pytest.mark.parametrize("pts", [[0, 1, 2, 3, 4, 100_000], [0, 60_000, 120_000, 180_000, 240_000, 300_000]])
def test_a_length_that_no_header_tells(tmp_path: Path, pts: list[int]) -> None:
    path = live(tmp_path / "jump.mkv", pts=pts, fps=Fraction(1000), time_base=Fraction(1, 1000))
    assert probe(path).duration_s is None
    with pytest.raises(TooLongError):
        decode_within(path, LimitsSettings(duration_s=60))
    decode_within(path, LimitsSettings(duration_s=3600))


def test_a_last_frame_without_end(tmp_path: Path) -> None:
    """Half a second, then one frame for days; the header keeps quiet about it."""
    path = clip(tmp_path / "last.mp4", options={"bf": "0"})
    path.write_bytes(with_boxes(path.read_bytes(), {b"stts": full(2, 5, 512, 1, 2**31 - 1)}))
    with pytest.raises(ExplainedError) as caught:
        decode_within(path, LimitsSettings(duration_s=3600))
    assert isinstance(caught.value, TooLongError)
