"""What the index of an MP4 promises, read before a demuxer builds it in memory.

FFmpeg keeps an entry of 24 bytes for every sample. Their number can be written down without a byte of data behind it,
so that a file of a few kilobytes takes gigabytes. Boxes: ISO/IEC 14496-12. Lists of edits cost nothing by the sample
(``engines.containers.edit_lists``), but many that show samples for which the file has no room make up no recording.
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
    """The numbers that one track claims."""

    is_audio: bool = False
    in_steps_of_one: bool = False
    samples: int = 0
    sample_bytes: int = 0  # of each; 0: each has a size of its own in the file
    edits: int = 1

    def entries(self, media_bytes: int) -> int:
        """What there would be to show. PCM, whose samples follow at every tick, is not indexed one by one."""
        if self.is_audio and self.in_steps_of_one:
            return 0
        return self.samples * (1 if self.samples * self.sample_bytes <= media_bytes else self.edits)


@dataclass(slots=True)
class _Claims:
    """All numbers of a file; ``loose_samples`` are those of fragments that give no sample a size of its own."""

    media_bytes: int  # of the file, without its index
    tracks: list[_Track] = field(default_factory=list)
    loose_samples: int = 0

    def note(self, box: IndexBox) -> None:
        """Take in one box."""
        kind, body = box.kind, box.head
        track = self.tracks[-1] if self.tracks else _Track()
        if kind == b"trak":
            self.tracks.append(_Track())
        elif kind == b"moov":
            self.media_bytes -= box.size
        elif kind == b"hdlr":
            track.is_audio = track.is_audio or body[8:12] == b"soun"
        elif kind == b"stts":
            track.in_steps_of_one = _number(body, 4) == 1 and _number(body, 12) == 1
        elif kind in (b"stsz", b"stz2"):
            track.sample_bytes, track.samples = _number(body, 4) if kind == b"stsz" else 0, _number(body, 8)
        elif kind == b"elst":
            track.edits = max(1, _number(body, 4))
        elif kind == b"trun" and not _number(body, 0) & _FIELDS_OF_A_SAMPLE:
            self.loose_samples += _number(body, 4)
        elif kind == b"cmov":
            raise UnsupportedCodecError("The file's index is compressed, as QuickTime did it around the year 2000.")

    @property
    def entries(self) -> int:
        """The largest index that a demuxer would build."""
        return max([self.loose_samples, *(track.entries(self.media_bytes) for track in self.tracks)])


def reject_unreasonable(path: Path) -> None:
    """Raise for an index that no recording has; files of other formats pass.

    Raises:
        IndexTooLargeError: its parts promise too much.
        UnsupportedCodecError: it is compressed, so that nobody can tell.
        OSError: the storage failed.
    """
    claims = _Claims(path.stat().st_size)
    with path.open("rb") as file:
        for number, box in enumerate(_boxes(file)):
            if number >= _MOST_BOXES:
                raise IndexTooLargeError("The file's index consists of more than a million parts.")
            claims.note(box)
    if claims.entries > MAX_ENTRIES:
        raise IndexTooLargeError(f"The file's index promises {claims.entries:,} samples, which no recording has.")


def movie_boxes(file: BinaryIO) -> Iterator[IndexBox]:
    """The boxes of the index itself, without fragments, parents first; none where the file is no ISO media.

    The file may be read elsewhere between two of them.
    """
    for kind, offset, size in iso_boxes(file):
        if kind in _MOVIES:
            yield from _inside(file, offset, size)
            if kind == b"moov":  # FFmpeg reads no second one
                return


def _boxes(file: BinaryIO) -> Iterator[IndexBox]:
    """All boxes that describe samples, parents first."""
    for kind, offset, size in iso_boxes(file):
        if kind in _PARENTS:
            yield from _inside(file, offset, size)


def _inside(file: BinaryIO, offset: int, size: int) -> Iterator[IndexBox]:
    """A box and what it holds, down to the leaves."""
    open_boxes = [(offset, offset + size)]
    while open_boxes:
        at, end = open_boxes.pop()
        file.seek(at)
        head = file.read(16 + _HEAD_BYTES)
        if len(head) < 8 or at + 8 > end:
            continue
        length, begin = _number(head, 0), 8
        if length == 1:  # a long length follows
            length, begin = int.from_bytes(head[8:16], "big"), 16
        if length < begin or at + length > end:
            length = end - at
        open_boxes.append((at + length, end))  # what follows, after what is inside
        yield IndexBox(head[4:8], head[begin:], at + begin, length - begin)
        if head[4:8] in _PARENTS:
            open_boxes.append((at + begin, at + length))


def _number(body: bytes, at: int) -> int:
    return int.from_bytes(body[at : at + 4], "big")
