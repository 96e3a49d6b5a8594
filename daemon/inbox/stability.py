"""The rule by which a file counts as completely copied: unchanged for a while, over several observations."""

from __future__ import annotations

import os
from collections.abc import Hashable
from dataclasses import dataclass

from daemon.clock import Clock


@dataclass(frozen=True, slots=True)
class Signature:
    """The attributes of a file that change when somebody writes to it."""

    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, found: os.stat_result) -> Signature:
        """Return the signature in the attributes of a file."""
        return cls(found.st_size, found.st_mtime_ns, found.st_ino)


class _Observed:
    """One file: its last signature, since when it has not changed, and how often it was observed."""

    __slots__ = ("polls", "signature", "since")

    def __init__(self, signature: Signature, now: float) -> None:
        self.signature = signature
        self.since = now
        self.polls = 1


class SettleTracker:
    """Decides for each file whether it has been unchanged for long enough. It reads no files itself.

    A file is settled when the same signature was observed at least ``polls`` times in a row, and the first of these
    observations is at least ``quiet_s`` old. For a file without content it is ``empty_s``.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, *, quiet_s: float, empty_s: float, polls: int, clock: Clock) -> None:
        self._quiet_s = quiet_s
        self._empty_s = max(empty_s, quiet_s)
        self._polls = polls
        self.clock = clock
        self._files: dict[Hashable, _Observed] = {}

    def observe(self, key: Hashable, signature: Signature) -> bool:
        """Record one observation of a file; return whether it is settled."""
        now = self.clock()
        seen = self._files.get(key)
        if seen is None or seen.signature != signature:
            self._files[key] = _Observed(signature, now)
            return False
        seen.polls += 1
        quiet_s = self._quiet_s if signature.size else self._empty_s
        return seen.polls >= self._polls and now - seen.since >= quiet_s

    def forget(self, key: Hashable) -> None:
        """Start again for a file that is in use (EBUSY, an open writer)."""
        self._files.pop(key, None)
