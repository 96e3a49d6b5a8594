"""The tracks file gives back what a segment has written."""

from __future__ import annotations

import gzip
from pathlib import Path

import orjson

from engines.frames import Rect
from pipeline.full_frame import laid_out
from pipeline.people import Row, Tile
from pipeline.segments.segment import row_json
from pipeline.segments.tracks_file import read_tracks

PERSON = Tile(1, Rect(800, 300, 90, 120), Rect(500, 100, 640, 720), "detected")
EMPTY = Tile(None, None, Rect(1200, 0, 640, 720), "held")


def written(path: Path, rows: list[Row]) -> list[Row]:
    path.write_bytes(gzip.compress(b"".join(row_json(row, n) for n, row in enumerate(rows))))
    return list(read_tracks(path))


def test_rows_of_both_layouts_are_read_as_they_are_shown(tmp_path: Path) -> None:
    split = Row(0, 0.0, PERSON, EMPTY, (1920, 1080))
    full = laid_out(Row(0, 0.5, PERSON, EMPTY, None, Rect(0, 0, 1920, 1080)))
    assert written(tmp_path / "tracks.jsonl.gz", [split, full]) == [split, full]


def test_only_a_full_frame_names_its_layout() -> None:
    row = Row(0, 0.0, PERSON, EMPTY)
    assert "layout" not in orjson.loads(row_json(row, 0))
    line = orjson.loads(row_json(laid_out(Row(0, 0.0, PERSON, EMPTY, None, Rect(0, 0, 1920, 1080))), 0))
    assert line["layout"] == "single"
    assert [line[side]["crop"] for side in ("left", "right")] == [[0, 0, 960, 1080], [960, 0, 960, 1080]]
