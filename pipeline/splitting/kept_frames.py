"""Decoded frames of parts that wait for their rows, in the memory of a GPU, so that they are decoded once."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from engines.frames import FrameBatch
from pipeline.splitting.part import Part


class KeptFrames:
    """Keeps all frames of a part, or none of them.

    Args:
        free_bytes: returns the GPU memory that is free; None: nothing is kept.
    """

    def __init__(self, free_bytes: Callable[[], int | None]) -> None:
        self._free_bytes = free_bytes
        self._parts: dict[int, list[FrameBatch]] = {}

    def may_keep(self, needed_bytes: float, sharers: int) -> bool:
        """Return whether there is room for a part.

        Args:
            needed_bytes: of its frames.
            sharers: number of workers that ask this at the same time, for the same memory.
        """
        free = self._free_bytes()
        return free is not None and needed_bytes * sharers <= free

    def keep(self, part: Part, batch: FrameBatch) -> None:
        self._parts.setdefault(part.index, []).append(batch)

    def drop(self, part: Part) -> None:
        self._parts.pop(part.index, None)

    def take(self, part: Part) -> Iterator[FrameBatch] | None:
        """Return the frames of a part, which are not kept any more; None if they are not here."""
        batches = self._parts.pop(part.index, None)
        return None if batches is None else _consumed(batches)


def _consumed(batches: list[FrameBatch]) -> Iterator[FrameBatch]:
    batches.reverse()
    while batches:
        yield batches.pop()
