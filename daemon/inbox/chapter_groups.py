"""The files of one inbox that may be parts of one recording: which ones belong together, and which ones must wait.

Their names make them neighbours in a series. A worker process compares the content of two neighbours, to see whether
the second one continues the first one (see ``open_joints`` and ``decide``). Files are joined only after that, and a
file waits while a part that is being copied may continue it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from daemon.clock import Clock, utc_now
from daemon.inbox.chapter_names import ChapterName, chapter_name
from daemon.inbox.scanner import Found


@dataclass(frozen=True, slots=True)
class Joint:
    """Two neighbours: does ``second`` continue where ``first`` ends?

    Attributes:
        certain_names: only parts of one recording get such names.
    """

    first: Found
    second: Found
    certain_names: bool


@dataclass(slots=True)
class _File:
    name: ChapterName
    found: Found | None  # None while it is being copied
    since: str


class ChapterGroups:
    """Groups files into recordings, from what the scan finds and from the comparisons of neighbours.

    Args:
        quiet_s: how long to wait for a next part, after the last change of such files in the folder.
        joins: False if every file is a recording of its own.
    """

    def __init__(self, quiet_s: float, clock: Clock, *, joins: bool) -> None:
        self._quiet_s = quiet_s
        self._clock = clock
        self._joins = joins
        self._files: dict[str, _File] = {}
        self._series: defaultdict[tuple[str, int, str], dict[int, str]] = defaultdict(dict)
        self._changed_at: dict[tuple[str, int], float] = {}
        self._left_at: dict[tuple[str, int, str], float] = {}
        self._verdicts: dict[str, tuple[Joint, bool]] = {}  # by the first file of the joint

    def see(self, found: Found, *, settled: bool) -> None:
        """Record that the scan has found a file."""
        name = chapter_name(found.relative) if self._joins else None
        if name is None or self._series[name.series].setdefault(name.number, found.relative) != found.relative:
            return  # of two files with one number, the second is a recording of its own
        known = self._files.get(found.relative)
        if known is None or not settled or known.found is None:
            self._changed_at[name.family] = self._clock()
        if known is None or known.found != found or not settled:
            self._files[found.relative] = _File(name, found if settled else None, utc_now())

    def forget(self, relative: str) -> None:
        """Record that a file is gone or was claimed."""
        file = self._files.pop(relative, None)
        self._verdicts.pop(relative, None)
        if file is None:
            return
        numbers = self._series[file.name.series]
        numbers.pop(file.name.number, None)
        if numbers:  # another host may have claimed it, and may be claiming the other parts
            self._left_at[file.name.series] = self._clock()
        else:
            del self._series[file.name.series]
            self._left_at.pop(file.name.series, None)

    def run(self, relative: str) -> tuple[Found, ...] | None:
        """Return the parts of the recording that begins with this file.

        Returns:
            None if that is still unknown, or if the file is a later part. Empty if it is not named like a part.
        """
        file = self._files.get(relative)
        if file is None:
            return ()
        before = self._neighbour(file, -1)
        if before is not None and self._follows(before, file) is not False:
            return None
        return self._parts_from(file)

    def open_joints(self) -> Iterator[Joint]:
        """Yield the pairs of settled neighbours that must still be compared."""
        for numbers in self._series.values():
            for number in sorted(numbers):
                first = self._files[numbers[number]]
                second = self._neighbour(first, 1)
                if second and self._follows(first, second) is None and (joint := _joint(first, second)):
                    yield joint

    def decide(self, joint: Joint, *, follows: bool) -> None:
        """Record the result of a comparison."""
        if joint.first.relative in self._files:
            self._verdicts[joint.first.relative] = joint, follows

    def waiting(self) -> dict[str, str]:
        """Return the first files of recordings that wait for parts or comparisons, and since when."""
        first = (file for file in self._files.values() if file.found and self._leads(file))
        return {file.found.relative: file.since for file in first if file.found and self._parts_from(file) is None}

    def _leads(self, file: _File) -> bool:
        before = self._neighbour(file, -1)
        return before is None or self._follows(before, file) is False

    def _parts_from(self, file: _File) -> tuple[Found, ...] | None:
        parts: list[Found] = []
        while file.found is not None:
            parts.append(file.found)
            after = self._neighbour(file, 1)
            follows = self._follows(file, after) if after else self._may_come(file)
            if follows is None:
                return None
            if not after or not follows:
                return tuple(parts)
            file = after
        return None

    def _may_come(self, file: _File) -> bool | None:
        """Return None while a next part may still come, then False."""
        changed_at = max(self._changed_at[file.name.family], self._left_at.get(file.name.series, -math.inf))
        return None if self._clock() - changed_at < self._quiet_s else False

    def _neighbour(self, file: _File, step: int) -> _File | None:
        name = self._series.get(file.name.series, {}).get(file.name.number + step)
        return self._files.get(name) if name is not None else None

    def _follows(self, first: _File, second: _File) -> bool | None:
        """Return the result of the comparison of two neighbours; None if it is not known."""
        joint = _joint(first, second)
        known = self._verdicts.get(joint.first.relative) if joint else None
        return known[1] if known and known[0] == joint else None


def _joint(first: _File, second: _File) -> Joint | None:
    if first.found is None or second.found is None:
        return None
    return Joint(first.found, second.found, first.name.certain)
