"""Cuts a stream into batches that do not depend on where it was resumed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from engines.frames import Frame, FrameBatch


def aligned(batches: Iterable[FrameBatch], size: int, done: int) -> Iterator[FrameBatch]:
    """Yield the same frames in the batches of an uninterrupted run: cut at every ``size``-th frame of the stream.

    Faces found in one batch decide when the detector runs in the next, so the batches shape the output.

    Args:
        done: number of frames of the stream before the first one here.
    """
    waiting: list[Frame] = []
    room = size - done % size
    batch: FrameBatch | None = None
    for batch in batches:
        waiting += batch.frames
        while len(waiting) >= room:
            yield replace(batch, frames=tuple(waiting[:room]))
            waiting, room = waiting[room:], size
    if batch is not None and waiting:
        yield replace(batch, frames=tuple(waiting))
