"""Links and pipes planted in a job's work directory: anybody in the group may do that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.frames import EncodedPacket, Rect
from pipeline.durable import write_durably
from pipeline.people import Row, Tile
from pipeline.report.thumbnails import write_jpeg
from pipeline.segments.checkpoint import Checkpoint, load
from pipeline.segments.segment import SegmentWriter, is_intact
from tests.support.planted import assert_plain, in_time, plant

ROW = Row(0, 0.0, Tile(1, Rect(10, 20, 30, 40), Rect(0, 0, 800, 900), "detected"), Tile(None, None, None, "held"))


def test_small_files(tmp_path: Path, planted: Callable[[Path], None]) -> None:
    path = tmp_path / "checkpoint.json"
    planted(tmp_path / "checkpoint.json.part")
    in_time(lambda: write_durably(path, b"new"))
    assert path.read_bytes() == b"new"
    assert_plain(path)


@pytest.mark.parametrize("suffix", [".h264", ".packets.json", ".tracks.jsonl.gz", ".rows.jsonl.gz"])
def test_segments(tmp_path: Path, planted: Callable[[Path], None], suffix: str) -> None:
    folder = tmp_path / "segments"
    folder.mkdir()
    planted(folder / f"000000{suffix}.part")

    def write() -> Any:
        with SegmentWriter(folder, 0, 0) as writer:
            writer.add_row(ROW, ROW, 1024)
            writer.add_packets([EncodedPacket(b"key", 0, True)])
            return writer.finish()

    record = in_time(write)
    assert is_intact(folder, record)
    for path in folder.iterdir():
        assert_plain(path)


def test_thumbnails(tmp_path: Path, planted: Callable[[Path], None]) -> None:
    path = tmp_path / "000000000500-picture.jpg"
    planted(path)
    in_time(lambda: write_jpeg(path, np.zeros((8, 8, 3), np.uint8), 90))
    assert path.read_bytes().startswith(b"\xff\xd8")
    assert_plain(path)


def test_a_link_to_a_folder_of_segments_is_not_used(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with SegmentWriter(elsewhere, 0, 0) as writer:
        writer.add_row(ROW, ROW, 1024)
        record = writer.finish()
    Checkpoint("f", segments=[record]).save(tmp_path)
    (tmp_path / "segments").symlink_to(elsewhere)
    assert load(tmp_path, "f") == (None, "a finished segment is missing or damaged")


@pytest.mark.parametrize("what", ["link", "dangling", "pipe"])
def test_what_is_no_checkpoint_starts_over(tmp_path: Path, what: str) -> None:
    plant(tmp_path / "checkpoint.json", what, tmp_path / "victim")
    assert in_time(lambda: load(tmp_path, "f"))[0] is None
