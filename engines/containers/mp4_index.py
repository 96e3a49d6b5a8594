"""Check the size of an MP4's index before a demuxer builds it in memory.

FFmpeg keeps an entry of 24 bytes for every sample. A file can declare any number of samples without any data, so that
a few kilobytes take gigabytes of memory. Boxes: ISO/IEC 14496-12. Edit lists need no memory
per sample (``engines.containers.edit_lists``), but no recording presents many samples for which the file has no room.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from engines.containers.sniff import iso_boxes
from engines.errors import IndexTooLargeError, UnsupportedCodecError

MAX_ENTRIES = 2**25  # twelve hours at 700 frames a second; 800 MB
_PARENTS = {
    b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"moof", b"traf", b"mvex", b"udta", b"dinf", b"tref", b"ipro",
    b"sinf", b"schi", b"free", b"hoov",                  # FFmpeg looks for an index in the last two as well
}  # fmt: skip
_MOVIES = {b"moov", b"free", b"hoov"}
_HEAD_BYTES = 24  # of a box's content: as much as any field here needs
_MOST_BOXES = 1_000_000
_FIELDS_OF_A_SAMPLE = 0xF00  # flags of trun: with any of them every sample takes bytes of the file


@dataclass(frozen=True, slots=True)
class IndexBox:
    """One box: its content begins with ``head``, at ``offset`` in the file, and is ``size`` bytes long."""

    kind: bytes
    head: bytes
    offset: int
    size: int


@dataclass(slots=True)
class _Track:
    """The numbers that one track declared."""

    is_audio: bool = False
    in_steps_of_one: bool = False
    samples: int = 0
    sample_bytes: int = 0  # of each sample; 0: the sizes differ
    edits: int = 1

    def entries(self, media_bytes: int) -> int:
        """Return the number of samples to present. PCM, with a sample at every tick, is not indexed by sample."""
        if self.is_audio and self.in_steps_of_one:
            return 0
        return self.samples * (1 if self.samples * self.sample_bytes <= media_bytes else self.edits)


@dataclass(slots=True)
class _DeclaredIndex:
    """All numbers of a file; ``loose_samples`` counts the samples of fragments that declare no sample sizes."""

    media_bytes: int  # of the file, without its index
    tracks: list[_Track] = field(default_factory=list)
    loose_samples: int = 0

    def add(self, box: IndexBox) -> None:
        """Record the numbers of one box."""
        kind, body = box.kind, box.head
        track = self.tracks[-1] if self.tracks else _Track()
        if kind == b"trak":
            self.tracks.append(_Track())
        elif kind == b"moov":
            self.media_bytes -= box.size
        elif kind == b"hdlr":
            track.is_audio = track.is_audio or body[8:12] == b"soun"
        elif kind == b"stts":
            track.in_steps_of_one = uint32(body, 4) == 1 and uint32(body, 12) == 1
        elif kind in (b"stsz", b"stz2"):
            track.sample_bytes, track.samples = uint32(body, 4) if kind == b"stsz" else 0, uint32(body, 8)
        elif kind == b"elst":
            track.edits = max(1, uint32(body, 4))
        elif kind == b"trun" and not uint32(body, 0) & _FIELDS_OF_A_SAMPLE:
            self.loose_samples += uint32(body, 4)
        elif kind == b"cmov":
            raise UnsupportedCodecError("The file's index is compressed, as QuickTime did it around the year 2000.")

    @property
    def entries(self) -> int:
        """Number of entries of the largest index that a demuxer would build."""
        return max([self.loose_samples, *(track.entries(self.media_bytes) for track in self.tracks)])


def reject_oversized_index(path: Path) -> None:
    """Raise for an index larger than any recording's; files of other formats pass.

    Raises:
        IndexTooLargeError: the index is too large.
        UnsupportedCodecError: the index is compressed, so its size is unknown.
        OSError: the storage failed.
    """
    declared = _DeclaredIndex(path.stat().st_size)
    with path.open("rb") as file:
        for number, box in enumerate(_boxes(file)):
            if number >= _MOST_BOXES:
                raise IndexTooLargeError("The file's index consists of more than a million parts.")
            declared.add(box)
    if declared.entries > MAX_ENTRIES:
        raise IndexTooLargeError(f"The file's index promises {declared.entries:,} samples, which no recording has.")


def movie_boxes(file: BinaryIO) -> Iterator[IndexBox]:
    """Yield the boxes of the index, without fragments, parents first; none if the file is not ISO media.

    The caller may seek in the file between two boxes.
    """
    for kind, offset, size in iso_boxes(file):
        if kind in _MOVIES:
            yield from _box_tree(file, offset, size)
            if kind == b"moov":  # FFmpeg reads no second one
                return


def _boxes(file: BinaryIO) -> Iterator[IndexBox]:
    """Yield all boxes that describe samples, parents first."""
    for kind, offset, size in iso_boxes(file):
        if kind in _PARENTS:
            yield from _box_tree(file, offset, size)


def _box_tree(file: BinaryIO, offset: int, size: int) -> Iterator[IndexBox]:
    """Yield a box and all boxes inside it."""
    open_boxes = [(offset, offset + size)]
    while open_boxes:
        at, end = open_boxes.pop()
        file.seek(at)
        head = file.read(16 + _HEAD_BYTES)
        if len(head) < 8 or at + 8 > end:
            continue
        length, begin = uint32(head, 0), 8
        if length == 1:  # a long length follows
            length, begin = int.from_bytes(head[8:16], "big"), 16
        if length < begin or at + length > end:
            length = end - at
        open_boxes.append((at + length, end))  # the next box comes after the inner ones
        yield IndexBox(head[4:8], head[begin:], at + begin, length - begin)
        if head[4:8] in _PARENTS:
            open_boxes.append((at + begin, at + length))


def uint32(body: bytes, at: int) -> int:
    """Return the big-endian number of 32 bits at offset ``at``."""
    return int.from_bytes(body[at : at + 4], "big")
