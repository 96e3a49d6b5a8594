"""Segments: parts of the output of about ten seconds, which a resumed job uses again.

A segment is four files, which count once a checkpoint names them; PLAN is a hash of what it shows:

    000012-PLAN.h264             the packets in decode order, raw, as the encoder made them
    000012-PLAN.packets.json     size, pts and keyframe flag of each packet
    000012-PLAN.tracks.jsonl.gz  one gzip member with the tracks of its frames
    000012-PLAN.rows.jsonl.gz    the rows as they were decided, before any correction
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import orjson

from engines.files import commit, open_new, sync_directory
from engines.frames import EncodedPacket
from pipeline.durable import storage_errors
from pipeline.people import Row, Tile, row_from_json


@dataclass(frozen=True, slots=True)
class SegmentRecord:
    """A finished segment, as it is in the checkpoint.

    Attributes:
        plan: hash of its tracks.
        sha256: of its files one after another.
        level: of degradation, and its ``reason``.
        skipped: number of frames that frame skip left out.
        lost: where other frames stand in for undecodable ones, as [from, to] in pts.
    """

    index: int
    first_pts: int
    last_pts: int
    last_duration: int
    frames: int
    bytes: int
    plan: str
    sha256: str
    level: str = "normal"
    reason: str = ""
    skipped: int = 0
    lost: list[list[int]] = field(default_factory=list)

    @property
    def stem(self) -> str:
        return _stem(self.index, self.plan)


class SegmentGrid:
    """Assigns frames to segments by their pts alone, so that a resumed job cuts at the same places."""

    def __init__(self, first_pts: int, time_base: Fraction, seconds: float) -> None:
        self._first_pts = first_pts
        self._ticks_per_segment = Fraction(seconds) / time_base

    def index(self, pts: int) -> int:
        return int((pts - self._first_pts) // self._ticks_per_segment)


def _stem(index: int, plan: str) -> str:
    return f"{index:06d}-{plan[:8]}"


def _paths(directory: Path, stem: str) -> tuple[Path, Path, Path, Path]:
    return (
        directory / f"{stem}.h264",
        directory / f"{stem}.packets.json",
        directory / f"{stem}.tracks.jsonl.gz",
        directory / f"{stem}.rows.jsonl.gz",
    )


def _rounded(rect: Any) -> list[float] | None:
    return None if rect is None else [round(v, 3) for v in (rect.x, rect.y, rect.w, rect.h)]


def _tile_json(tile: Tile) -> dict[str, Any]:
    return {
        "person": tile.person,
        "face": _rounded(tile.face),
        "crop": _rounded(tile.crop),
        "source": tile.source,
    }


def row_json(row: Row, frame: int) -> bytes:
    """Return one line of NAME.dual.tracks.jsonl.gz."""
    line: dict[str, Any] = {
        "frame": frame,
        "t": round(row.t, 6),
        "left": _tile_json(row.left),
        "right": _tile_json(row.right),
    }
    if row.frame is not None:
        line["picture"] = row.frame
    if row.full is not None:
        line["layout"] = "single"
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


class _LinesFile:
    """A gzip file of JSON lines, and the hash of its uncompressed content."""

    def __init__(self, path: Path) -> None:
        self.file = open_new(path)
        self._gzip = gzip.GzipFile(filename="", fileobj=self.file, mode="wb", mtime=0)
        self.content = hashlib.sha256()

    def write(self, line: bytes) -> None:
        self._gzip.write(line)
        self.content.update(line)

    def finish(self) -> IO[bytes]:
        """Return the file with all lines written, still open."""
        self._gzip.close()
        return self.file


class SegmentWriter:
    """Writes one segment. An error in its context removes the files, unless ``finish`` has returned."""

    def __init__(self, directory: Path, index: int, first_frame: int) -> None:
        self._directory = directory
        self._parts = [p.with_name(p.name + ".part") for p in _paths(directory, f"{index:06d}")]
        self._index = index
        self._frame = first_frame
        self._packets: list[tuple[int, int, bool]] = []
        self._pts: list[int] = []
        self._last_duration = 0
        with storage_errors("opening a segment"):
            self._video, self._index_file = open_new(self._parts[0]), open_new(self._parts[1])
            self._tracks, self._rows = _LinesFile(self._parts[2]), _LinesFile(self._parts[3])

    def __enter__(self) -> SegmentWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._discard()

    @property
    def frames(self) -> int:
        return len(self._pts)

    def add_row(self, decided: Row, shown: Row, duration: int) -> None:
        """Add the row of the next frame: as decided, as shown after corrections, and its duration in ticks."""
        self._last_duration = duration
        with storage_errors("writing a segment"):
            self._tracks.write(row_json(shown, self._frame + len(self._pts)))
            self._rows.write(orjson.dumps(decided, option=orjson.OPT_APPEND_NEWLINE))
        self._pts.append(decided.pts)

    def add_packets(self, packets: list[EncodedPacket]) -> None:
        with storage_errors("writing a segment"):
            for packet in packets:
                self._video.write(packet.data)
                self._packets.append((len(packet.data), packet.pts, packet.is_keyframe))

    def finish(self) -> SegmentRecord:
        """Make the segment durable; return its record for the checkpoint."""
        plan = self._tracks.content.hexdigest()
        finals = _paths(self._directory, _stem(self._index, plan))
        with storage_errors("finishing a segment"):
            size = self._video.tell()
            self._index_file.write(orjson.dumps(self._packets))
            for file, final in zip(self._files(), finals, strict=True):
                commit(file, final)
            digest = _digest(finals)
        pts = self._pts
        return SegmentRecord(self._index, pts[0], pts[-1], self._last_duration, len(pts), size, plan, digest)

    def _files(self) -> tuple[IO[bytes], ...]:
        return self._video, self._index_file, self._tracks.finish(), self._rows.finish()

    def _discard(self) -> None:
        with suppress(OSError):  # a full disk may also fail the close
            for file in self._files():
                file.close()
        for part in self._parts:
            part.unlink(missing_ok=True)


def read_packets(directory: Path, record: SegmentRecord) -> Iterator[EncodedPacket]:
    """Yield the packets of a finished segment, in decode order."""
    video, packets, _, _ = _paths(directory, record.stem)
    with storage_errors("reading a segment"), video.open("rb") as f:
        for size, pts, key in orjson.loads(packets.read_bytes()):
            yield EncodedPacket(f.read(size), pts, key)


def read_rows(directory: Path, record: SegmentRecord) -> list[Row]:
    """Return the rows of a finished segment as they were decided, before corrections."""
    path = _paths(directory, record.stem)[3]
    with storage_errors("reading a segment"), gzip.open(path) as lines:
        return [row_from_json(orjson.loads(line)) for line in lines]


def plan_of(rows: Iterable[Row], first_frame: int) -> str:
    """Return the ``plan`` of a segment that shows these rows."""
    digest = hashlib.sha256()
    for frame, row in enumerate(rows, start=first_frame):
        digest.update(row_json(row, frame))
    return digest.hexdigest()


def move(folder: Path, directory: Path, record: SegmentRecord) -> None:
    """Move the files of a finished segment into another directory of the same file system, durably."""
    for path, target in zip(_paths(folder, record.stem), _paths(directory, record.stem), strict=True):
        path.replace(target)
    sync_directory(directory)


def tracks_path(directory: Path, record: SegmentRecord) -> Path:
    return _paths(directory, record.stem)[2]


def remove(directory: Path, record: SegmentRecord) -> None:
    """Delete the files of a segment that no checkpoint names any more."""
    for path in _paths(directory, record.stem):
        path.unlink(missing_ok=True)


def is_intact(directory: Path, record: SegmentRecord) -> bool:
    """Return whether the files of a segment are complete and unchanged."""
    files = _paths(directory, record.stem)
    return all(f.is_file() for f in files) and _digest(files) == record.sha256


def _digest(files: tuple[Path, ...]) -> str:
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as f:
            while block := f.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
