"""The files of one inbox that may be parts of one recording: which go together, and which still have to wait.

By name they are neighbours in a series. Whether one goes on where its neighbour ends is read from the files
themselves, in a worker process (see ``open_joints`` and ``decide``); nothing is joined before that, and nothing is
taken that a part which is still being copied may belong to.
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
    """Two neighbours: does ``second`` go on where ``first`` ends?"""

    first: Found
    second: Found
    certain_names: bool


@dataclass(slots=True)
class _File:
    name: ChapterName
    found: Found | None  # None while it is being copied
    since: str


class ChapterGroups:
    """Told what the scan sees and what was found out about joints.

    Args:
        quiet_s: how long after the last change among such files in a folder a next part is waited for.
        joins: False: every file is a recording of its own.
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
        """A recording lies there."""
        name = chapter_name(found.relative) if self._joins else None
        if name is None or self._series[name.series].setdefault(name.number, found.relative) != found.relative:
            return  # of two with one number, the second is a recording of its own
        known = self._files.get(found.relative)
        if known is None or not settled or known.found is None:
            self._changed_at[name.family] = self._clock()
        if known is None or known.found != found or not settled:
            self._files[found.relative] = _File(name, found if settled else None, utc_now())

    def forget(self, relative: str) -> None:
        """It has gone, or has been taken."""
        file = self._files.pop(relative, None)
        self._verdicts.pop(relative, None)
        if file is None:
            return
        numbers = self._series[file.name.series]
        numbers.pop(file.name.number, None)
        if numbers:  # another host may have taken it, and takes those that go with it at this moment
            self._left_at[file.name.series] = self._clock()
        else:
            del self._series[file.name.series]
            self._left_at.pop(file.name.series, None)

    def run(self, relative: str) -> tuple[Found, ...] | None:
        """The parts that go together, of which this file is the first; None while that is unknown, or it is not.

        Empty for a file that is not named like a part.
        """
        file = self._files.get(relative)
        if file is None:
            return ()
        before = self._neighbour(file, -1)
        if before is not None and self._follows(before, file) is not False:
            return None
        return self._parts_from(file)

    def open_joints(self) -> Iterator[Joint]:
        """What has to be found out, of files that have settled."""
        for numbers in self._series.values():
            for number in sorted(numbers):
                first = self._files[numbers[number]]
                second = self._neighbour(first, 1)
                if second and self._follows(first, second) is None and (joint := _joint(first, second)):
                    yield joint

    def decide(self, joint: Joint, *, follows: bool) -> None:
        """What was found out."""
        if joint.first.relative in self._files:
            self._verdicts[joint.first.relative] = joint, follows

    def waiting(self) -> dict[str, str]:
        """Files that wait for parts to come or to be compared, and since when; those after them are not named."""
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
        """None as long as a next part may still come, else False."""
        changed_at = max(self._changed_at[file.name.family], self._left_at.get(file.name.series, -math.inf))
        return None if self._clock() - changed_at < self._quiet_s else False

    def _neighbour(self, file: _File, step: int) -> _File | None:
        name = self._series.get(file.name.series, {}).get(file.name.number + step)
        return self._files.get(name) if name is not None else None

    def _follows(self, first: _File, second: _File) -> bool | None:
        """What is known of the joint between two neighbours."""
        joint = _joint(first, second)
        known = self._verdicts.get(joint.first.relative) if joint else None
        return known[1] if known and known[0] == joint else None


def _joint(first: _File, second: _File) -> Joint | None:
    if first.found is None or second.found is None:
        return None
    return Joint(first.found, second.found, first.name.certain)
