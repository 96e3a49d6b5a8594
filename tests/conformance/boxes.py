"""Changes to finished files: their boxes, packets and ends."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import av

Edit = tuple[int, int]          # ticks of the movie's time scale that are shown, first tick of the media; -1: nothing


def cut(share: float) -> Callable[[Path], None]:
    """Keep so much of the file."""
    return lambda path: path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)]) and None


def spoiled(kind: str, places: range | None, how: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Change the data of these packets of the first stream of a kind; None: of all."""

    def spoil(path: Path) -> None:
        data, packets = bytearray(path.read_bytes()), _packets(path, kind)
        for offset, size in packets if places is None else packets[places.start : places.stop]:
            data[offset : offset + size] = how(bytes(data[offset : offset + size]))
        path.write_bytes(data)

    return spoil


def zeros(data: bytes) -> bytes:
    return bytes(len(data))


def noise(data: bytes) -> bytes:
    return Random(len(data)).randbytes(len(data))


def _packets(path: Path, kind: str) -> list[tuple[int, int]]:
    data = path.read_bytes()
    with av.open(str(path)) as container:
        stream = next(s for s in container.streams if s.type == kind)
        return [(data.index(bytes(p), p.pos), p.size) for p in container.demux(stream) if p.size and p.pos is not None]


def rewritten(change: Callable[[bytes, bytes], bytes]) -> Callable[[Path], None]:
    """Give every box of the movie header to ``change``, with its type, from the inside out."""

    def rewrite(path: Path) -> None:
        data = path.read_bytes()
        path.write_bytes(b"".join(_changed(kind, body, change) for kind, body in boxes(data)))

    return rewrite


_HOLDERS = {b"moov", b"trak", b"mdia", b"edts"}


def _changed(kind: bytes, body: bytes, change: Callable[[bytes, bytes], bytes]) -> bytes:
    if kind in _HOLDERS:
        body = b"".join(_changed(k, b, change) for k, b in boxes(body))
    body = change(kind, body)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 0
    while place + 8 <= len(data):
        size, kind = struct.unpack(">I4s", data[place : place + 8])
        yield kind, data[place + 8 : place + size]
        place += size


def edited(edits_s: list[tuple[float, float]]) -> Callable[[Path], None]:
    """Give every track these edits: (length, first second of the media that is shown; negative: nothing is)."""

    def rewrite(path: Path) -> None:
        movie = dict(boxes(dict(boxes(path.read_bytes()))[b"moov"]))
        scale = struct.unpack(">I", movie[b"mvhd"][12:16])[0]
        rewritten(lambda kind, body: _with_edits(body, scale, edits_s) if kind == b"trak" else body)(path)

    return rewrite


def _with_edits(track: bytes, movie_scale: int, edits_s: list[tuple[float, float]]) -> bytes:
    parts = list(boxes(track))
    media = dict(boxes(dict(parts)[b"mdia"]))
    scale = struct.unpack(">I", media[b"mdhd"][12:16])[0]
    entries = b"".join(
        struct.pack(">IiHH", round(length * movie_scale), round(begin * scale) if begin >= 0 else -1, 1, 0)
        for length, begin in edits_s
    )
    elst = struct.pack(">I4sII", 16 + len(entries), b"elst", 0, len(edits_s)) + entries
    edts = struct.pack(">I4s", 8 + len(elst), b"edts") + elst
    kept = [(kind, body) for kind, body in parts if kind != b"edts"]
    joined = [struct.pack(">I4s", 8 + len(body), kind) + body for kind, body in kept]
    return b"".join([joined[0], edts, *joined[1:]])
