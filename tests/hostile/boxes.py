"""Where the parts of a container lie: boxes of ISO media, elements of Matroska, chunks of RIFF.

Just enough to spoil one part on purpose; the formats are ISO/IEC 14496-12, RFC 8794 and Microsoft's RIFF.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

_ISO_PARENTS = {
    b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"udta", b"dinf", b"moof", b"traf", b"mvex", b"mfra",
}  # fmt: skip
_ENTRIES = {b"stsd": 16, b"avc1": 86, b"hvc1": 86, b"hev1": 86, b"mp4v": 86, b"av01": 86, b"mp4a": 36, b"meta": 12}
_EBML_PARENTS = {
    0x1A45DFA3, 0x18538067, 0x1549A966, 0x1654AE6B, 0xAE, 0xE0, 0xE1, 0x1F43B675, 0xA0, 0x1C53BB6B, 0xBB, 0xB7,
    0x114D9B74, 0x4DBB, 0x1254C367,
}  # fmt: skip
_RIFF_PARENTS = {b"RIFF", b"LIST"}


@dataclass(frozen=True, slots=True)
class Part:
    """One box, element or chunk: ``start`` of its header, ``body`` and ``end`` of its content, in bytes.

    ``size_at`` and ``size_bytes`` say where its length is written, ``parents`` how deep it lies.
    """

    kind: bytes
    start: int
    size_at: int
    size_bytes: int
    body: int
    end: int
    parents: int

    @property
    def is_payload(self) -> bool:
        return self.kind in (b"mdat", b"movi")


def parts_of(data: bytes) -> list[Part]:
    """All parts of a file, parents before their children; none where the format has no such structure."""
    if data[4:8] == b"ftyp":
        return list(_walk(data, 0, len(data), 0, _iso_part, _iso_children))
    if data[:4] == b"\x1aE\xdf\xa3":
        return list(_walk(data, 0, len(data), 0, _ebml_part, _ebml_children))
    if data[:4] == b"RIFF":
        return list(_walk(data, 0, len(data), 0, _riff_part, _riff_children))
    return []


def _walk(
    data: bytes,
    at: int,
    end: int,
    depth: int,
    read: Callable[[bytes, int, int, int], Part | None],
    children: Callable[[Part], int | None],
) -> Iterator[Part]:
    while at < end:
        part = read(data, at, end, depth)
        if part is None:
            return
        yield part
        if (first := children(part)) is not None:
            yield from _walk(data, first, part.end, depth + 1, read, children)
        at = part.end


def _iso_part(data: bytes, at: int, end: int, depth: int) -> Part | None:
    size = int.from_bytes(data[at : at + 4], "big")
    if size < 8 or at + size > end:
        return None
    return Part(data[at + 4 : at + 8], at, at, 4, at + 8, at + size, depth)


def _iso_children(part: Part) -> int | None:
    if part.kind in _ISO_PARENTS:
        return part.body
    return part.start + _ENTRIES[part.kind] if part.kind in _ENTRIES else None


def _ebml_part(data: bytes, at: int, end: int, depth: int) -> Part | None:
    if at >= end or not data[at]:
        return None
    size_at = at + 9 - data[at].bit_length()
    if size_at >= end or not data[size_at]:
        return None
    width = 9 - data[size_at].bit_length()
    length = int.from_bytes(data[size_at : size_at + width], "big") & ((1 << 7 * width) - 1)
    body = size_at + width
    stop = end if length == (1 << 7 * width) - 1 else min(end, body + length)
    return Part(data[at:size_at], at, size_at, width, body, stop, depth)


def _ebml_children(part: Part) -> int | None:
    return part.body if int.from_bytes(part.kind, "big") in _EBML_PARENTS else None


def _riff_part(data: bytes, at: int, end: int, depth: int) -> Part | None:
    size = int.from_bytes(data[at + 4 : at + 8], "little")
    stop = at + 8 + size + size % 2
    if at + 8 > end or stop > end + 1:
        return None
    kind = data[at : at + 4]
    return Part(data[at + 8 : at + 12] if kind in _RIFF_PARENTS else kind, at, at + 4, 4, at + 8, min(stop, end), depth)


def _riff_children(part: Part) -> int | None:
    return part.body + 4 if part.end - part.body > 12 and part.kind in (b"AVI ", b"hdrl", b"strl", b"movi") else None
