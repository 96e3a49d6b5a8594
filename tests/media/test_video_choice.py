"""The video stream is chosen by number and size of its frames, at any position in the file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import pytest

from engines.cpu.decode import PyAvDecoder
from engines.errors import NoVideoError
from engines.frames import MediaInfo
from engines.media.probe import probe
from tests.support.synth import Audio, Clip, number_in, write_together

RECORDING = Clip(width=320, height=180, frames=30)
SMALL = Clip(width=160, height=90, frames=30)
THUMBNAIL = Clip(width=640, height=360, frames=1, codec="mjpeg", pix_fmt="yuvj420p")
CODES = {"VIDEO_STREAM_DROPPED"}


def dropped(info: MediaInfo) -> list[int | None]:
    return [warning.stream for warning in info.warnings if warning.code in CODES]


def test_an_unmarked_thumbnail_is_neither_chosen_nor_missed(tmp_path: Path) -> None:
    info = probe(write_together(tmp_path / "a.mov", THUMBNAIL, RECORDING))
    assert (info.video.index, info.video.codec, dropped(info)) == (1, "h264", [])
    assert "thumbnails" in info.video.chosen_because


@pytest.mark.parametrize("container", ["mov", "mkv", "ts"])
def test_size_goes_before_order_and_the_files_own_mark(tmp_path: Path, container: str) -> None:
    info = probe(write_together(tmp_path / f"a.{container}", SMALL, RECORDING, default=0))
    assert (info.video.index, info.video.width, dropped(info)) == (1, 320, [0])
    assert "largest (320x180)" in info.video.chosen_because


def test_a_large_stream_that_is_soon_over_is_not_the_recording(tmp_path: Path) -> None:
    title = replace(RECORDING, width=640, height=360, frames=10)
    info = probe(write_together(tmp_path / "a.mov", title, SMALL))
    assert (info.video.index, dropped(info)) == (1, [0])
    assert "most frames" in info.video.chosen_because


@pytest.mark.parametrize("default", [0, 1])
def test_among_equals_the_files_mark_decides(tmp_path: Path, default: int) -> None:
    info = probe(write_together(tmp_path / "a.mkv", RECORDING, RECORDING, default=default))
    assert (info.video.index, dropped(info)) == (default, [1 - default])


def test_thumbnails_of_chapters_are_not_the_recording(tmp_path: Path) -> None:
    chapters = replace(THUMBNAIL, frames=6)
    info = probe(write_together(tmp_path / "a.mov", chapters, replace(RECORDING, frames=310)))
    assert (info.video.index, dropped(info)) == (1, [])


@pytest.mark.parametrize(
    ("first", "dropped_streams"),
    [(replace(THUMBNAIL, width=1280, height=720), []), (SMALL, [0])],
    ids=["still", "small"],
)
def test_a_part_of_the_file_is_read_if_the_header_says_nothing(
    tmp_path: Path, first: Clip, dropped_streams: list[int]
) -> None:
    """As live streams are written: without counts and durations."""
    path = write_together(tmp_path / "a.mkv", first, RECORDING, options={"live": "1"})
    with av.open(str(path)) as container:
        assert not any("DURATION" in stream.metadata for stream in container.streams.video)
    info = probe(path)
    assert (info.video.index, dropped(info)) == (1, dropped_streams)


def test_a_stream_that_nothing_decodes_is_not_chosen_but_named(tmp_path: Path) -> None:
    content = write_together(tmp_path / "a.mov", RECORDING, SMALL).read_bytes()
    at = content.index(b"avc1", content.index(b"stsd"))
    (tmp_path / "a.mov").write_bytes(content[:at] + b"zzzz" + content[at + 4 :])
    info = probe(tmp_path / "a.mov")
    assert (info.video.index, dropped(info)) == (1, [0])


def test_the_decoder_reads_the_stream_that_the_probe_chose(tmp_path: Path) -> None:
    numbered = replace(RECORDING, frames=40)
    path = write_together(tmp_path / "a.mkv", replace(SMALL, frames=40), numbered)
    decoder = PyAvDecoder(path, probe(path), max_surface_pixels=10**7)
    frames = [frame for batch in decoder.batches() for frame in batch.frames]
    assert [number_in(frame.y) for frame in frames] == list(range(40))
    assert {frame.width for frame in frames} == {320}
    middle = next(decoder.batches(frames[25].pts, 1)).frames[0]
    assert (middle.pts, number_in(middle.y)) == (frames[25].pts, 25)


def test_a_still_image_beside_audio_is_not_a_video(tmp_path: Path) -> None:
    with pytest.raises(NoVideoError):
        probe(write_together(tmp_path / "song.mov", replace(THUMBNAIL, audio=[Audio()])))


def test_a_file_with_one_stream_says_so(tmp_path: Path) -> None:
    info = probe(RECORDING.write(tmp_path / "a.mp4"))
    assert (info.video.index, info.video.chosen_because) == (0, "It is the only video stream.")
    assert info.warnings == ()
