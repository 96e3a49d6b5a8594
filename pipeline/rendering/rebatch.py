"""How frames travel together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from engines.frames import Frame, FrameBatch


def aligned(batches: Iterable[FrameBatch], size: int, done: int) -> Iterator[FrameBatch]:
    """The same frames in the batches of a run that never stopped: cut at every ``size``-th frame of the stream.

    What is seen in one batch decides where faces are looked for in the next, so how a stream is cut shapes the output.

    Args:
        done: frames of the stream before the first one here.
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
