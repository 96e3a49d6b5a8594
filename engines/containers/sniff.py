"""Recognise a file by its first bytes, before any library parses it.

FFmpeg reports "invalid data" for a text file, a photograph and an incomplete copy alike; the user needs to know which
one it is. Magic numbers are those of the formats' specifications; boxes are ISO/IEC 14496-12.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from engines.errors import EmptyFileError, MediaError, NotMediaError, StillImageError, TruncatedFileError

HEAD_BYTES = 4096
MAX_BOXES = 100_000

STILL_MAGIC: tuple[tuple[int, bytes], ...] = (
    (0, b"\xff\xd8\xff"),  # JPEG
    (0, b"\x89PNG\r\n\x1a\n"),
    (0, b"BM"),
    (0, b"II*\x00"),  # TIFF
    (0, b"MM\x00*"),
    (0, b"8BPS"),  # Photoshop
    (8, b"WEBP"),
)
STILL_BRANDS = {b"heic", b"heix", b"mif1", b"avif"}
EBML_MAGIC, SEGMENT_ID = b"\x1aE\xdf\xa3", b"\x18S\x80g"
CONTAINER_MAGIC = (EBML_MAGIC, b"RIFF", b"FLV\x01", b"0&\xb2u\x8ef\xcf\x11", b"OggS", b"\x00\x00\x01\xba")
BOX_TYPES = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp", b"moof", b"uuid", b"pnot"}


def reject_empty_or_still(path: Path) -> None:
    """Raise EmptyFileError or StillImageError for a file that no demuxer needs to open. OSErrors pass through."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if not head:
        raise EmptyFileError("The file is empty (0 bytes).")
    if _is_still(head):
        raise StillImageError("The file is a still image.")


def unreadable_error(path: Path, detail: str) -> MediaError:
    """Return the error for a file that the demuxer refused with the message ``detail``."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        if _is_iso_media(head):
            return _why_iso_unreadable(file, detail)
    if head.startswith(CONTAINER_MAGIC):
        return TruncatedFileError(f"The file begins like a video but its structure is cut off or damaged ({detail}).")
    return NotMediaError(f"The file's content is not a known video format ({detail}).")


@dataclass(frozen=True, slots=True)
class Outline:
    """Result of reading a file's outermost structure (MP4, Matroska, AVI).

    Attributes:
        cut_off: the structure declares more bytes than the file has.
        lacks_index: an MP4 has neither an index (moov) nor a fragment (moof).
    """

    cut_off: bool = False
    lacks_index: bool = False


def is_truncated(path: Path) -> bool:
    """Return whether the outermost structure (MP4, Matroska, AVI) declares more bytes than the file has.

    Garbage after the structure does not count.
    """
    with path.open("rb") as file:
        return outline(file).cut_off


def outline(file: BinaryIO, most_boxes: int = MAX_BOXES) -> Outline:
    """Read the outermost structure, a few bytes for each of its first boxes. OSErrors pass through."""
    file.seek(0)
    head = file.read(HEAD_BYTES)
    end = file.seek(0, os.SEEK_END)
    if _is_iso_media(head):
        return _iso_outline(file, end, most_boxes)
    if head.startswith(b"RIFF"):
        return Outline(cut_off=8 + int.from_bytes(head[4:8], "little") > end)
    return Outline(cut_off=head.startswith(EBML_MAGIC) and _matroska_end(head) > end)


def _iso_outline(file: BinaryIO, end: int, most_boxes: int) -> Outline:
    boxes = list(islice(iso_boxes(file), most_boxes))
    has_index = any(kind in (b"moov", b"moof") for kind, _, _ in boxes)
    cut_off = any(offset + size > end and kind in BOX_TYPES for kind, offset, size in boxes)
    return Outline(cut_off, lacks_index=not has_index and len(boxes) < most_boxes)


def _matroska_end(head: bytes) -> int:
    """Return the end of the Segment (RFC 8794 lengths, RFC 9559 elements); 0 if unknown, as in live recordings."""
    at = head.find(SEGMENT_ID)
    if at < 0 or at + 5 > len(head):
        return 0
    first = head[at + 4]
    width = 9 - first.bit_length()
    length = int.from_bytes(head[at + 4 : at + 4 + width], "big") & ((1 << 7 * width) - 1)
    return 0 if length == (1 << 7 * width) - 1 else at + 4 + width + length


def iso_boxes(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Yield (type, offset, size) of the top-level boxes; a box may claim to reach beyond the end of the file."""
    end = file.seek(0, os.SEEK_END)
    offset = 0
    for _ in range(MAX_BOXES):
        file.seek(offset)
        header = file.read(16)
        if len(header) < 8:
            return
        size = int.from_bytes(header[:4], "big")
        if size == 1 and len(header) == 16:
            size = int.from_bytes(header[8:], "big")
        elif size == 0:
            size = end - offset
        yield header[4:8], offset, size
        offset += size
        if size < 8 or offset >= end:
            return


def _is_still(head: bytes) -> bool:
    if any(head[at : at + len(magic)] == magic for at, magic in STILL_MAGIC):
        return True
    return head[4:8] == b"ftyp" and head[8:12] in STILL_BRANDS


def _is_iso_media(head: bytes) -> bool:
    return head[4:8] in BOX_TYPES


def _why_iso_unreadable(file: BinaryIO, detail: str) -> MediaError:
    end = file.seek(0, os.SEEK_END)
    moov_ends = [offset + size for kind, offset, size in iso_boxes(file) if kind == b"moov"]
    if not moov_ends:
        return TruncatedFileError("The recording was not finished: its index (the moov box) is missing.")
    if max(moov_ends) > end:
        return TruncatedFileError("The file is cut off inside its index (the moov box).")
    return TruncatedFileError(f"The file's structure is damaged ({detail}).")
