"""Gives recordings another edit list, as passthrough exports of editing programs have."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.media.layout_boxes import box, boxes_in

MOVIE_TIMESCALE = 1000


@dataclass(frozen=True)
class Cut:
    """One edit: for how long, what of the source (None: a pause), and how fast (0: a still)."""

    length_s: float
    from_s: float | None
    rate: float = 1


def set_edits(path: Path, cuts: Sequence[Cut]) -> Path:
    """Give every track of an MP4 or MOV these edits; the index must come last, or fragments behind it.

    Times of the source count from where its own list, with one edit, begins to show it.
    """
    boxes = boxes_in(path.read_bytes())
    moov = b"".join(_changed(kind, body, cuts) for kind, body in boxes_in(dict(boxes)[b"moov"]))
    path.write_bytes(b"".join(box(kind, moov if kind == b"moov" else body) for kind, body in boxes))
    return path


def _changed(kind: bytes, body: bytes, cuts: Sequence[Cut]) -> bytes:
    if kind == b"mvhd":
        return box(kind, body[:12] + struct.pack(">I", MOVIE_TIMESCALE) + body[16:])
    if kind != b"trak":
        return box(kind, body)
    parts = dict(boxes_in(body))
    timescale = int.from_bytes(dict(boxes_in(parts[b"mdia"]))[b"mdhd"][12:16], "big")
    offset = _first_media_time(parts[b"edts"]) if b"edts" in parts else 0
    lines = b"".join(_line(cut, timescale, offset) for cut in cuts)
    edts = box(b"edts", box(b"elst", struct.pack(">II", 0, len(cuts)) + lines))
    others = [box(k, b) for k, b in boxes_in(body) if k != b"edts"]
    return box(kind, b"".join([others[0], edts, *others[1:]]))


def _first_media_time(edts: bytes) -> int:
    return int.from_bytes(dict(boxes_in(edts))[b"elst"][12:16], "big", signed=True)


def _line(cut: Cut, timescale: int, offset: int) -> bytes:
    media_time = -1 if cut.from_s is None else offset + round(cut.from_s * timescale)
    return struct.pack(">IiI", round(cut.length_s * MOVIE_TIMESCALE), media_time, round(cut.rate * 0x10000))
