"""What the index of an MP4 promises, read before a demuxer builds it in memory.

FFmpeg keeps an entry of 24 bytes for every sample, once for each edit that shows it. Both numbers can be written down
without a byte of data behind them, so that a file of a few kilobytes takes gigabytes. Boxes: ISO/IEC 14496-12.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from engines.cpu.sniff import iso_boxes
from engines.errors import IndexTooLargeError, UnsupportedCodecError

MAX_ENTRIES = 2**25                    # twelve hours at 700 pictures a second; 800 MB
_PARENTS = {
    b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"moof", b"traf", b"mvex", b"udta", b"dinf", b"tref", b"ipro",
    b"sinf", b"schi", b"free", b"hoov",                  # FFmpeg looks for an index in the last two as well
}  # fmt: skip
_HEAD_BYTES = 20                       # of a box's content: as much as any count here needs
_MOST_BOXES = 1_000_000
_FIELDS_OF_A_SAMPLE = 0xF00            # flags of trun: with any of them every sample takes bytes of the file


@dataclass(slots=True)
class _Track:
    """The numbers that one track claims."""

    is_sound: bool = False
    in_steps_of_one: bool = False
    samples: int = 0
    edits: int = 1

    @property
    def entries(self) -> int:
        """What a demuxer would build. PCM, whose samples follow at every tick, is not indexed one by one."""
        return 0 if self.is_sound and self.in_steps_of_one else self.samples * self.edits


@dataclass(slots=True)
class _Claims:
    """All numbers of a file; ``loose_samples`` are those of fragments that give no sample a size of its own."""

    tracks: list[_Track] = field(default_factory=list)
    loose_samples: int = 0

    def note(self, kind: bytes, body: bytes) -> None:
        """Take in one box."""
        track = self.tracks[-1] if self.tracks else _Track()
        if kind == b"trak":
            self.tracks.append(_Track())
        elif kind == b"hdlr":
            track.is_sound = track.is_sound or body[8:12] == b"soun"
        elif kind == b"stts":
            track.in_steps_of_one = _number(body, 4) == 1 and _number(body, 12) == 1
        elif kind in (b"stsz", b"stz2"):
            track.samples = _number(body, 8)
        elif kind == b"elst":
            track.edits = max(1, _number(body, 4))
        elif kind == b"trun" and not _number(body, 0) & _FIELDS_OF_A_SAMPLE:
            self.loose_samples += _number(body, 4)
        elif kind == b"cmov":
            raise UnsupportedCodecError("The file's index is compressed, as QuickTime did it around the year 2000.")

    @property
    def entries(self) -> int:
        """The largest index that a demuxer would build."""
        return max([self.loose_samples, *(track.entries for track in self.tracks)])


def reject_unreasonable(path: Path) -> None:
    """Raise for an index that no recording has; files of other formats pass.

    Raises:
        IndexTooLargeError: its parts promise too much.
        UnsupportedCodecError: it is compressed, so that nobody can tell.
        OSError: the storage failed.
    """
    claims = _Claims()
    with path.open("rb") as file:
        for number, (kind, body) in enumerate(_boxes(file)):
            if number >= _MOST_BOXES:
                raise IndexTooLargeError("The file's index consists of more than a million parts.")
            claims.note(kind, body)
    if claims.entries > MAX_ENTRIES:
        raise IndexTooLargeError(f"The file's index promises {claims.entries:,} samples, which no recording has.")


def _boxes(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """The boxes that describe samples, each with the begin of its content, parents first."""
    for kind, offset, size in iso_boxes(file):
        if kind in _PARENTS:
            yield from _inside(file, offset, size)


def _inside(file: BinaryIO, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """A box and what it holds, down to the leaves."""
    open_boxes = [(offset, offset + size)]
    while open_boxes:
        at, end = open_boxes.pop()
        file.seek(at)
        head = file.read(16 + _HEAD_BYTES)
        if len(head) < 8 or at + 8 > end:
            continue
        length, begin = _number(head, 0), 8
        if length == 1:                                      # a long length follows
            length, begin = int.from_bytes(head[8:16], "big"), 16
        if length < begin or at + length > end:
            length = end - at
        open_boxes.append((at + length, end))                # what follows, after what is inside
        yield head[4:8], head[begin:]
        if head[4:8] in _PARENTS:
            open_boxes.append((at + begin, at + length))


def _number(body: bytes, at: int) -> int:
    return int.from_bytes(body[at : at + 4], "big")
