"""Segments and checkpoints: whole or not at all, and exact."""

from __future__ import annotations

import gzip
import hashlib
import json
from fractions import Fraction

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.frames import EncodedPacket
from pipeline.segments import checkpoint as checkpoints
from pipeline.segments.checkpoint import Checkpoint, Counters
from pipeline.segments.segment import (
    SegmentGrid,
    SegmentWriter,
    is_intact,
    plan_of,
    read_packets,
    read_rows,
    remove,
    tracks_path,
)
from pipeline.workdir import CHECKPOINT
from tests.support.rows import row

PACKETS = [
    EncodedPacket(b"key", 0, True),
    EncodedPacket(b"third", 2048, False),
    EncodedPacket(b"second", 1024, False),
]


def write(directory, index=0, first_frame=0):
    with SegmentWriter(directory, index, first_frame) as writer:
        for pts in (0, 1024, 2048):
            writer.add_row(row(pts), row(pts), 1024)
        writer.add_packets(PACKETS)
        return writer.finish()


def test_a_segment_gives_its_packets_and_rows_back(tmp_path):
    record = write(tmp_path, first_frame=300)
    assert list(read_packets(tmp_path, record)) == PACKETS
    lines = [json.loads(line) for line in gzip.decompress(tracks_path(tmp_path, record).read_bytes()).splitlines()]
    assert [line["frame"] for line in lines] == [300, 301, 302]
    assert lines[1]["left"] == {
        "person": 1,
        "face": [10, 20, 30.123, 40],
        "crop": [0, 0, 800, 900],
        "source": "detected",
    }
    assert lines[1]["right"]["face"] is None


def test_a_segment_gives_the_decided_rows_back_and_knows_its_plan(tmp_path):
    record = write(tmp_path, first_frame=300)
    assert read_rows(tmp_path, record) == [row(pts) for pts in (0, 1024, 2048)]
    assert record.plan == plan_of(read_rows(tmp_path, record), 300) != plan_of(read_rows(tmp_path, record), 0)
    remove(tmp_path, record)
    assert list(tmp_path.iterdir()) == []


def test_the_same_segment_is_the_same_bytes(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert write(tmp_path / "a") == write(tmp_path / "b")
    files = [sorted(p.read_bytes() for p in (tmp_path / d).iterdir()) for d in "ab"]
    assert files[0] == files[1]


def test_a_failed_segment_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), SegmentWriter(tmp_path, 0, 0) as writer:
        writer.add_packets(PACKETS)
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".h264", ".packets.json", ".tracks.jsonl.gz", ".rows.jsonl.gz"])
def test_a_missing_or_changed_file_is_noticed(tmp_path, suffix):
    record = write(tmp_path)
    assert is_intact(tmp_path, record)
    path = tmp_path / f"{record.stem}{suffix}"
    path.write_bytes(path.read_bytes()[:-1])
    assert not is_intact(tmp_path, record)
    path.unlink()
    assert not is_intact(tmp_path, record)


@given(
    first=st.integers(-(10**9), 10**9),
    ticks=st.lists(st.integers(1, 10**6), min_size=1, max_size=50),
    seconds=st.floats(1, 600),
    rate=st.sampled_from([1000, 15360, 90000, 30000]),
)
def test_the_grid_depends_on_pts_alone_and_never_goes_back(first, ticks, seconds, rate):
    grid = SegmentGrid(first, Fraction(1, rate), seconds)
    pts, last = first, 0
    assert grid.index(first) == 0
    for tick in ticks:
        pts += tick
        index = grid.index(pts)
        assert index >= last
        assert index * seconds <= (pts - first) / rate + 1e-6
        last = index


def sample_checkpoint(record) -> Checkpoint:
    return Checkpoint(
        fingerprint="f",
        extradata="00ff",
        segments=[record],
        next_pts=3072,
        complete=False,
        analysis={"gallery": [0.1, 1 / 3, 2.0], "none": None},
        counters=Counters(replaced_frames=1, truncated=True),
        wall_s=1.5,
    )


def test_a_checkpoint_comes_back_exactly(tmp_path):
    (tmp_path / "segments").mkdir()
    saved = sample_checkpoint(write(tmp_path / "segments"))
    saved.save(tmp_path)
    loaded, reason = checkpoints.load(tmp_path, "f")
    assert reason is None
    assert loaded == saved
    assert loaded.frames == 3


def test_no_checkpoint_is_no_reason(tmp_path):
    assert checkpoints.load(tmp_path, "f") == (None, None)


def test_another_fingerprint_starts_over(tmp_path):
    (tmp_path / "segments").mkdir()
    sample_checkpoint(write(tmp_path / "segments")).save(tmp_path)
    loaded, reason = checkpoints.load(tmp_path, "other")
    assert loaded is None
    assert "changed" in reason


def test_a_damaged_checkpoint_starts_over(tmp_path):
    (tmp_path / "segments").mkdir()
    sample_checkpoint(write(tmp_path / "segments")).save(tmp_path)
    path = tmp_path / CHECKPOINT
    raw = path.read_bytes()
    for damaged in (raw[:-10], raw.replace(b"3072", b"3073"), b"", b"[]", b'{"format": 1}'):
        path.write_bytes(damaged)
        loaded, reason = checkpoints.load(tmp_path, "f")
        assert loaded is None
        assert "damaged" in reason


def test_a_checkpoint_of_another_shape_starts_over(tmp_path):
    digest = hashlib.sha256(b"[]").hexdigest()
    (tmp_path / CHECKPOINT).write_bytes(orjson.dumps({"format": 1, "sha256": digest, "body": []}))
    assert checkpoints.load(tmp_path, "f") == (None, "the checkpoint is damaged")


def test_a_lost_segment_starts_over(tmp_path):
    (tmp_path / "segments").mkdir()
    sample_checkpoint(write(tmp_path / "segments")).save(tmp_path)
    next((tmp_path / "segments").glob("*.h264")).unlink()
    loaded, reason = checkpoints.load(tmp_path, "f")
    assert loaded is None
    assert "segment" in reason


@pytest.mark.parametrize("place", ["checkpoint", "segment", "none"])
def test_a_checkpoint_of_another_version_of_the_program_starts_over(tmp_path, place):
    """Fields come and go: where hosts are updated one after another, the older one may get the job."""
    (tmp_path / "segments").mkdir()
    sample_checkpoint(write(tmp_path / "segments")).save(tmp_path)
    path = tmp_path / CHECKPOINT
    body = json.loads(path.read_bytes())["body"]
    if place == "none":
        del body["segments"]
    else:
        (body if place == "checkpoint" else body["segments"][0])["news"] = 1
    digest = hashlib.sha256(orjson.dumps(body)).hexdigest()
    path.write_bytes(orjson.dumps({"format": checkpoints.FORMAT, "sha256": digest, "body": body}))
    assert checkpoints.load(tmp_path, "other") == (None, "the source, the configuration or the program has changed")
    assert checkpoints.load(tmp_path, "f") == (None, "another version of the program wrote the checkpoint")
