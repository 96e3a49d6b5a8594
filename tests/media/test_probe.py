"""Descriptions of good files, and errors for unusable ones."""

from __future__ import annotations

import io
import random
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from engines.errors import (
    EmptyFileError,
    EncryptedMediaError,
    MediaError,
    NotMediaError,
    NoVideoError,
    StillImageError,
    TruncatedFileError,
    UnsupportedCodecError,
)
from engines.media.probe import probe
from tests.support.synth import Audio, Clip, combed, image

FASTSTART = {"movflags": "+faststart"}


def test_an_ordinary_recording(tmp_path: Path) -> None:
    clip = Clip(640, 360, frames=60, fps=Fraction(30000, 1001), color=(1, 1, 1, 1), audio=[Audio(language="deu")])
    info = probe(clip.write(tmp_path / "plain.mp4"))
    video, (audio,) = info.video, info.audio
    assert (video.codec, video.width, video.height, video.pix_fmt, video.bit_depth) == ("h264", 640, 360, "yuv420p", 8)
    assert (video.fps, video.vfr, video.frames_from_header) == (Fraction(30000, 1001), False, 60)
    assert (video.rotation_deg, video.sample_aspect, video.interlaced, video.start_pts) == (0, 1, False, 0)
    assert (video.color.primaries, video.color.transfer, video.color.matrix, video.color.full_range) == (1, 1, 1, False)
    assert video.duration_s == pytest.approx(60 * 1001 / 30000)
    assert (audio.codec, audio.sample_rate, audio.channels, audio.language) == ("aac", 48000, 2, "deu")
    assert "mp4" in info.container
    assert info.bytes == (tmp_path / "plain.mp4").stat().st_size


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_rotation_swaps_the_displayed_size(tmp_path: Path, turn: int) -> None:
    video = probe(Clip(rotation=turn).write(tmp_path / "turned.mp4")).video
    assert video.rotation_deg == turn
    assert (video.coded_width, video.coded_height) == (320, 180)
    assert (video.width, video.height) == ((320, 180) if turn == 180 else (180, 320))


def test_pixel_aspect_widens_the_displayed_size(tmp_path: Path) -> None:
    video = probe(Clip(720, 576, frames=2, aspect=Fraction(64, 45)).write(tmp_path / "pal.mp4")).video
    assert (video.coded_width, video.width, video.height) == (720, 1024, 576)
    assert video.sample_aspect == Fraction(64, 45)


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "bits", "suffix"),
    [("libx265", "yuv420p10le", 10, "mp4"), ("prores_ks", "yuv422p10le", 10, "mov"), ("libx264", "yuv444p", 8, "mkv")],
)
def test_depth_and_sampling(tmp_path: Path, codec: str, pix_fmt: str, bits: int, suffix: str) -> None:
    video = probe(Clip(codec=codec, pix_fmt=pix_fmt, frames=4).write(tmp_path / f"clip.{suffix}")).video
    assert (video.pix_fmt, video.bit_depth) == (pix_fmt, bits)


@pytest.mark.parametrize(("codec", "suffix"), [("libx264", "mp4"), ("mpeg2video", "ts")])
def test_interlaced_material_is_noticed(tmp_path: Path, codec: str, suffix: str) -> None:
    path = Clip(codec=codec, interlaced=True, draw=combed).write(tmp_path / f"fields.{suffix}")
    assert probe(path).video.interlaced
    assert not probe(Clip(codec=codec).write(tmp_path / f"whole.{suffix}")).video.interlaced


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_uneven_spacing_is_noticed(tmp_path: Path, suffix: str) -> None:
    uneven = Clip(pts=[0, 33, 50, 133, 200, 210, 350, 360], time_base=Fraction(1, 1000))
    assert probe(uneven.write(tmp_path / f"uneven.{suffix}")).video.vfr
    assert not probe(Clip(frames=60).write(tmp_path / f"even.{suffix}")).video.vfr


def test_a_transport_stream_keeps_its_start(tmp_path: Path) -> None:
    info = probe(Clip(pts=range(90, 150), audio=[Audio(start_s=3.0)]).write(tmp_path / "late.ts"))
    assert info.video.start_pts * info.video.time_base >= 3
    assert info.video.time_base == Fraction(1, 90_000)


def test_an_8k_header_is_read_without_decoding(tmp_path: Path) -> None:
    path = Clip(7680, 4320, frames=1, rotation=90).write(tmp_path / "8k.mp4")
    unseen = probe(path, max_pixels=4096 * 2160).video
    seen = probe(path).video
    assert (unseen.coded_width, unseen.coded_height) == (7680, 4320)
    assert (unseen.rotation_deg, seen.rotation_deg) == (0, 90)


def test_cover_art_is_not_the_video(tmp_path: Path) -> None:
    with pytest.raises(NoVideoError):
        probe(_song_with_cover(tmp_path / "song.mp3"))


def test_audio_alone(tmp_path: Path) -> None:
    path = tmp_path / "sound.m4a"
    _write_audio(path)
    with pytest.raises(NoVideoError):
        probe(path)


def test_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.mp4"
    path.touch()
    with pytest.raises(EmptyFileError):
        probe(path)


def test_text_and_noise_are_not_media(tmp_path: Path) -> None:
    path = tmp_path / "note.mp4"
    path.write_text("Dear editor, the recording follows.\n" * 400)
    with pytest.raises(NotMediaError):
        probe(path)
    for seed in range(8):
        path.write_bytes(random.Random(seed).randbytes(200_000))
        with pytest.raises(NotMediaError):
            probe(path)
    path.write_bytes(bytes(100_000))
    with pytest.raises(NotMediaError):
        probe(path)


def test_a_playlist_opens_no_other_file(tmp_path: Path) -> None:
    Clip(frames=3).write(tmp_path / "real.ts")
    path = tmp_path / "playlist.mp4"
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nreal.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(NotMediaError):
        probe(path)
    path.write_text("ffconcat version 1.0\nfile real.ts\n")
    with pytest.raises(NotMediaError):
        probe(path)


@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_an_unfinished_mp4_has_no_index(tmp_path: Path, keep: float) -> None:
    whole = Clip(frames=60).write(tmp_path / "whole.mp4").read_bytes()
    path = tmp_path / "part.mp4"
    path.write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(TruncatedFileError):
        probe(path)


def test_an_mp4_cut_inside_its_index(tmp_path: Path) -> None:
    whole = Clip(frames=200, container_options=FASTSTART).write(tmp_path / "whole.mp4").read_bytes()
    path = tmp_path / "part.mp4"
    path.write_bytes(whole[: whole.index(b"stsz") + 40])
    with pytest.raises(TruncatedFileError):
        probe(path)


@pytest.mark.parametrize("image_format", ["mjpeg", "png", "gif", "bmp", "tiff", "libwebp"])
def test_still_images(tmp_path: Path, image_format: str) -> None:
    path = tmp_path / "photo.mp4"
    path.write_bytes(_image(image_format))
    with pytest.raises(StillImageError):
        probe(path)


def test_encrypted_tracks(tmp_path: Path) -> None:
    key = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "11" * 16, "encryption_kid": "22" * 16}
    with pytest.raises(EncryptedMediaError):
        probe(Clip(frames=5, container_options=key).write(tmp_path / "protected.mp4"))


def test_an_unknown_codec(tmp_path: Path) -> None:
    path = Clip(frames=5).write(tmp_path / "odd.mp4")
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzq9"))
    with pytest.raises(UnsupportedCodecError):
        probe(path)


def test_every_error_has_a_remedy(tmp_path: Path) -> None:
    path = tmp_path / "note.mp4"
    path.write_text("no video")
    with pytest.raises(MediaError) as caught:
        probe(path)
    assert caught.value.message.endswith(".")
    assert caught.value.remedy
    assert not caught.value.retryable


def test_a_storage_error_is_not_taken_for_damage(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        probe(tmp_path / "gone.mp4")
    with pytest.raises(IsADirectoryError):
        probe(tmp_path)


def test_names_that_look_like_protocols_and_metadata_in_no_encoding(tmp_path: Path) -> None:
    path = Clip(frames=3, title="Ü title").write(tmp_path / "plain.mp4")
    strange = tmp_path / "concat:a|b\n%d #?.mp4"
    strange.write_bytes(path.read_bytes().replace("Ü".encode(), b"\xff\xfe"))
    assert probe(strange).video.width == 320


def _image(codec: str) -> bytes:
    context = av.CodecContext.create(codec, "w")
    formats = {"mjpeg": "yuvj420p", "png": "rgb24", "gif": "rgb8", "bmp": "bgr24", "tiff": "rgb24", "libwebp": "bgra"}
    context.width, context.height, context.pix_fmt = 64, 48, formats[codec]
    context.time_base, context.framerate = Fraction(1, 25), Fraction(25)
    frame = image(0, 64, 48).reformat(format=formats[codec])
    frame.pts = 0
    if codec != "gif":
        return b"".join(bytes(p) for p in context.encode(frame) + context.encode(None))
    memory = io.BytesIO()
    with av.open(memory, "w", format="gif") as out:
        stream = out.add_stream("gif", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb8"
        out.mux(stream.encode(frame) + stream.encode(None))
    return memory.getvalue()


def _write_audio(path: Path) -> None:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libmp3lame" if path.suffix == ".mp3" else "aac", rate=48_000)
        samples = np.zeros((2, 1152), np.float32)
        for number in range(40):
            frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
            frame.sample_rate, frame.pts = 48_000, number * 1152
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def _song_with_cover(path: Path) -> Path:
    """An MP3 whose ID3v2 tag has a picture (frame APIC)."""
    _write_audio(path)
    body = b"\x00image/png\x00\x03\x00" + _image("png")
    frame = b"APIC" + len(body).to_bytes(4, "big") + b"\x00\x00" + body
    size = bytes((len(frame) >> shift) & 127 for shift in (21, 14, 7, 0))
    audio = path.read_bytes()
    if audio.startswith(b"ID3"):
        length = sum(byte << shift for byte, shift in zip(audio[6:10], (21, 14, 7, 0), strict=True))
        audio = audio[10 + length :]
    path.write_bytes(b"ID3\x03\x00\x00" + size + frame + audio)
    with av.open(str(path)) as check:
        assert check.streams.video, "the cover must be there for the test to mean something"
    return path
