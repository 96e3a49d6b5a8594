"""Damage of a file is never taken for an error of the storage, nor the reverse; jobs wait only for the storage."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from engines.containers.demux import PacketReader, only_video, open_media
from engines.containers.source_file import SourceFile
from engines.cpu.decode import PyAvDecoder
from engines.errors import MediaError
from engines.media.probe import probe
from tests.support.recordings import write_recording
from tests.support.synth import Clip

ISO = Clip(width=160, height=120, frames=6)
FORMATS = {"mp4", "mkv", "ts", "mov", "flv"}


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return ISO.write(tmp_path / "clip.mp4")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("recordings")
    size = (320, 180)
    return {kind: write_recording(folder / f"x.{kind}", seconds=2, fps=15, size=size) for kind in FORMATS}


class Failing:
    """Makes one read of a file fail, and counts the reads."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reads = 0
        self.nth = 0
        read = SourceFile.read

        def failing(file: SourceFile, size: int) -> bytes:
            self.reads += 1
            if self.reads == self.nth:
                raise OSError(errno.EIO, "Input/output error")
            return read(file, size)

        monkeypatch.setattr(SourceFile, "read", failing)

    def at(self, nth: int) -> None:
        self.reads, self.nth = 0, nth


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_one_failed_read_is_never_the_end_of_the_file(
    recordings: dict[str, Path], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it happens, and although every later read succeeds."""
    path = recordings[kind]
    failing = Failing(monkeypatch)
    assert len(_packets(path)) == 30
    for nth in range(1, failing.reads + 1):
        failing.at(nth)
        with pytest.raises(OSError, match="Input/output"):
            _packets(path)


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_decoding_passes_the_failure_on(
    recordings: dict[str, Path], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = recordings[kind]
    info = probe(path)
    failing = Failing(monkeypatch)
    decoder = PyAvDecoder(path, info, max_surface_pixels=10**6)
    assert sum(len(batch.frames) for batch in decoder.batches(info.video.start_pts)) == 30
    for nth in range(1, failing.reads, max(1, failing.reads // 8)):
        failing.at(nth)
        with pytest.raises(OSError, match="Input/output"):
            list(PyAvDecoder(path, info, max_surface_pixels=10**6).batches(info.video.start_pts))


def _packets(path: Path) -> list[bytes]:
    with open_media(path) as container:
        reader = PacketReader(container, [only_video(container)])
        packets = [bytes(packet) for packet in reader]
        assert (reader.errors, reader.broken_end) == (0, False)
        return packets


@pytest.mark.parametrize("kind", sorted(FORMATS - {"mov", "mp4"}))
def test_a_truncated_file_is_not_a_storage_error(recordings: dict[str, Path], kind: str, tmp_path: Path) -> None:
    """Demuxers report EIO for some of these."""
    content = recordings[kind].read_bytes()
    for part in (0.5, 0.7, 0.9):
        cut = tmp_path / f"{part}.{kind}"
        cut.write_bytes(content[: int(len(content) * part)])
        with open_media(cut) as container:
            assert 0 < sum(1 for _ in PacketReader(container, [only_video(container)])) < 30


def test_a_file_that_cannot_be_opened_any_more(clip: Path) -> None:
    clip.unlink()
    with pytest.raises(FileNotFoundError):
        open_media(clip)


@pytest.mark.parametrize("offset", [-1, 2**63, 2**64])
def test_an_impossible_position_counts_as_damaged_content(clip: Path, offset: int) -> None:
    assert SourceFile(clip).seek(offset, 0) < 0


@pytest.mark.parametrize("size", [2**63 - 1, 2**63, 2**64 - 1])
def test_a_box_beyond_any_file_position(clip: Path, size: int) -> None:
    """No file position is that large: seeking there is an error of the system."""
    data = clip.read_bytes()
    at = data.index(b"mdat") - 4
    clip.write_bytes(data[:at] + b"\0\0\0\1mdat" + size.to_bytes(8, "big") + data[at:])
    with pytest.raises(MediaError):
        probe(clip)
