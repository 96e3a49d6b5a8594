"""Recordings that are damaged at chosen packets."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from pathlib import Path

import av


def packets_of(path: Path) -> list[tuple[int, int]]:
    """(offset, size) of every video packet's data in the file, in order."""
    data = path.read_bytes()
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(video=0) if p.pos is not None and p.size]
        return [(data.index(bytes(p), p.pos), p.size) for p in packets]


def spoil(path: Path, packets: Iterable[int], how: Callable[[bytes], bytes]) -> None:
    data = bytearray(path.read_bytes())
    places = packets_of(path)
    for number in packets:
        offset, size = places[number]
        data[offset : offset + size] = how(bytes(data[offset : offset + size]))
    path.write_bytes(data)


def zeroed(data: bytes) -> bytes:
    return bytes(len(data))


def noisy(data: bytes) -> bytes:
    return data[: len(data) // 3] + random.Random(len(data)).randbytes(len(data) - len(data) // 3)
