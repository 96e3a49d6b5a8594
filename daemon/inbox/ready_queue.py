"""The queue of settled files, oldest change first."""

from __future__ import annotations

import heapq
from collections.abc import Callable

from daemon.inbox.scanner import Found


class ReadyQueue:
    """A priority queue of files by modification time, then name.

    Files that were dropped stay in the heap and are skipped later, so that all operations are fast.
    """

    def __init__(self) -> None:
        self._files: dict[str, Found] = {}
        self._heap: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self._files)

    def keys(self) -> set[str]:
        """Return the paths of all files in the queue."""
        return set(self._files)

    def put(self, found: Found) -> None:
        """Add a file, or replace it after a change."""
        if self._files.get(found.relative) != found:
            self._files[found.relative] = found
            heapq.heappush(self._heap, _rank(found))

    def drop(self, relative: str) -> None:
        """Remove a file."""
        self._files.pop(relative, None)
        if len(self._heap) > 2 * len(self._files) + 16:
            self._heap = [_rank(found) for found in self._files.values()]
            heapq.heapify(self._heap)

    def first(self, most: int) -> list[Found]:
        """Return the ``most`` oldest files, in order."""
        return heapq.nsmallest(most, self._files.values(), key=_rank)

    def oldest(self, is_free: Callable[[Found], bool]) -> Found | None:
        """Return the oldest file for which ``is_free`` is true, without removing it; None if there is none."""
        held: list[tuple[int, str]] = []
        found = None
        while self._heap and found is None:
            found = self._files.get(self._heap[0][1])
            if found is None or _rank(found) != self._heap[0]:
                heapq.heappop(self._heap)
                found = None
            elif not is_free(found):
                held.append(heapq.heappop(self._heap))
                found = None
        for rank in held:
            heapq.heappush(self._heap, rank)
        return found


def _rank(found: Found) -> tuple[int, str]:
    return found.signature.mtime_ns, found.relative
