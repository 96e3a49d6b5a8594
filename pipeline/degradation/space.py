"""Free space on the disk of a work directory, and waiting for more.

A lack of space never changes what a job makes: the job waits, and goes on from its last segment.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engines.errors import Component, ExplainedError, causes
from engines.files import FULL
from pipeline.errors import DiskFullError
from pipeline.interruption import Interruption
from pipeline.settings import DegradationSettings

_MIB = 2**20
_POLL_S = 0.2
_LONGEST_RETRY_S = 30.0  # free space does not show a quota, so people must not wait longer than this for a retry
_GROWN_BYTES = _MIB  # this much more free space is worth a retry at once
_KEY = "degradation.disk_low_bytes"


@dataclass(frozen=True, slots=True)
class FreeSpace:
    """Free and total space of a file system. Some network file systems report neither: ``known`` is then false."""

    free_bytes: int
    total_bytes: int

    @property
    def known(self) -> bool:
        return self.total_bytes > 0

    @classmethod
    def at(cls, folder: Path) -> FreeSpace:
        """Return the space that a program without privileges has on the file system of a folder.

        Raises:
            OSError: the folder cannot be reached.
        """
        found = os.statvfs(folder)
        return cls(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)


def mib(count: int) -> str:
    """Format bytes in whole MiB, rounded down, so that it never shows more than there is."""
    return f"{count // _MIB} MiB"


def lacking(free: FreeSpace, needed_bytes: int, what_for: str) -> str:
    """Describe the lack of space, in words; "" if there is enough."""
    if not free.known or free.free_bytes >= needed_bytes:
        return ""
    if needed_bytes > free.total_bytes:
        return f"the whole disk has {mib(free.total_bytes)}, {mib(needed_bytes)} needed: {what_for}"
    return f"{mib(free.free_bytes)} free, {mib(needed_bytes)} needed: {what_for}"


def refusal(error: BaseException) -> str:
    """Return the message of an error that a full disk or quota caused; "" for other errors."""
    for cause in causes(error):
        if isinstance(cause, DiskFullError) or (isinstance(cause, OSError) and cause.errno in FULL):
            words = error.message if isinstance(error, ExplainedError) else str(cause)
            return words or "the disk is full"
    return ""


class DiskSpace:
    """The space that a job has for its work directory.

    Args:
        clock: monotonic seconds.
        sleep: waits for a number of seconds.

    Attributes:
        reason: what is lacking now, in words; "" if the job does not wait.
    """

    def __init__(
        self,
        work_dir: Path,
        settings: DegradationSettings,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._work_dir = work_dir
        self._settings = settings
        self._clock = clock
        self._sleep = sleep
        self._refusals = 0  # in a row
        self.reason = ""

    def shortage(self) -> str:
        """Describe what is lacking for the work to go on; "" if nothing is."""
        return lacking(FreeSpace.at(self._work_dir), self._settings.disk_low_bytes, _KEY)

    def is_cause_of(self, error: BaseException) -> bool:
        """Return whether a lack of space caused an error; ``wait`` then waits before the next try."""
        words = refusal(error)
        if not words:
            return False
        self._refusals += 1
        self.reason = f"{words} ({mib(FreeSpace.at(self._work_dir).free_bytes)} free)"
        return True

    def on_written(self) -> None:
        """Reset the count of refusals: a segment was written."""
        self._refusals = 0

    def wait(
        self,
        interruption: Interruption,
        on_wait: Callable[[], None],
        *,
        needed_bytes: int = 0,
        what_for: str = "",
    ) -> None:
        """Wait until there is enough space, and after a refusal until a retry makes sense.

        Args:
            on_wait: called several times a second while the job waits.
            needed_bytes: space for the purpose ``what_for``, if it is more than ``disk_low_bytes``.

        Raises:
            JobStopped: a stop is requested.
            DiskFullError: it takes longer than ``disk_wait_s``, or the disk is too small for it.
        """
        begin = self._clock()
        before = FreeSpace.at(self._work_dir)
        while True:
            free = FreeSpace.at(self._work_dir)
            lack = lacking(free, self._settings.disk_low_bytes, _KEY) or lacking(free, needed_bytes, what_for)
            waited_s = self._clock() - begin
            if not lack and (not self.reason or self._is_worth_a_retry(before, free, waited_s)):
                self.reason = ""
                return
            self.reason = lack or self.reason
            self._raise_if_hopeless(free, needed_bytes, waited_s)
            on_wait()
            interruption.check("while it waited for space")
            self._sleep(_POLL_S)

    def _is_worth_a_retry(self, before: FreeSpace, now: FreeSpace, waited_s: float) -> bool:
        if now.free_bytes >= before.free_bytes + _GROWN_BYTES or not self._refusals:
            return True
        doublings = min(self._refusals - 1, 30)
        return waited_s >= min(_LONGEST_RETRY_S, self._settings.cool_down_s * 2.0**doublings)

    def _raise_if_hopeless(self, free: FreeSpace, needed_bytes: int, waited_s: float) -> None:
        if free.known and max(needed_bytes, self._settings.disk_low_bytes) > free.total_bytes:
            raise DiskFullError(
                self.reason, remedy="Set what is needed to less, or use a larger disk.", component=Component.DISK_SIZE
            )
        if waited_s >= self._settings.disk_wait_s:
            raise DiskFullError(f"{self.reason}; waited {waited_s:.0f} s (degradation.disk_wait_s)")
