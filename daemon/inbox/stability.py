"""When is a file completely copied? A pure class: it is told what was seen, and reads nothing itself."""

from __future__ import annotations

import os
from collections.abc import Hashable
from dataclasses import dataclass

from daemon.clock import Clock


@dataclass(frozen=True, slots=True)
class Signature:
    """What changes when somebody writes to a file."""

    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, found: os.stat_result) -> Signature:
        return cls(found.st_size, found.st_mtime_ns, found.st_ino)


class _Quiet:
    """One file: its last signature, since when that stands, and how often it was seen."""

    __slots__ = ("polls", "signature", "since")

    def __init__(self, signature: Signature, now: float) -> None:
        self.signature = signature
        self.since = now
        self.polls = 1


class SettleTracker:
    """Tells for each file whether it has been quiet long enough.

    A file is settled when the same signature was observed at least ``polls`` times in a row and the first of
    these observations is at least ``quiet_s`` old. A file without content needs ``empty_s`` instead.

    Args:
        clock: monotonic seconds; wall-clock jumps must not matter.
    """

    def __init__(self, *, quiet_s: float, empty_s: float, polls: int, clock: Clock) -> None:
        self._quiet_s = quiet_s
        self._empty_s = max(empty_s, quiet_s)
        self._polls = polls
        self.clock = clock
        self._files: dict[Hashable, _Quiet] = {}

    def __len__(self) -> int:
        return len(self._files)

    def observe(self, key: Hashable, signature: Signature) -> bool:
        """Record one look at a file; True when it is settled."""
        now = self.clock()
        seen = self._files.get(key)
        if seen is None or seen.signature != signature:
            self._files[key] = _Quiet(signature, now)
            return False
        seen.polls += 1
        quiet_s = self._quiet_s if signature.size else self._empty_s
        return seen.polls >= self._polls and now - seen.since >= quiet_s

    def disturb(self, key: Hashable) -> None:
        """Start over for a file that turned out to be in use (EBUSY, an open writer)."""
        self._files.pop(key, None)

    forget = disturb
