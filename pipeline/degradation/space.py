"""Room on the disk of a job's directory: how much there is, and waiting for more.

Want of space never changes what a job makes. The job waits and goes on from its last segment, as if nothing had been.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engines.errors import ExplainedError, causes
from engines.files import FULL
from pipeline.errors import DiskFullError, JobStopped
from pipeline.job import StopCheck
from pipeline.settings import DegradationSettings

_MIB = 2**20
_BEAT_S = 0.2
_TRY_LONGEST_S = 30.0  # a quota does not show in the free space, so people need not wait longer than this for a try
_GROWN_BYTES = _MIB  # so much more free space is worth a try at once
_KEY = "degradation.disk_low_bytes"


@dataclass(frozen=True, slots=True)
class Free:
    """What a file system says of itself. ``known`` is false where it counts nothing, as some do over a network."""

    free_bytes: int
    total_bytes: int

    @property
    def known(self) -> bool:
        return self.total_bytes > 0

    @classmethod
    def at(cls, folder: Path) -> Free:
        """Of the file system that a folder lies on, for a program without privileges.

        Raises:
            OSError: the folder cannot be reached.
        """
        found = os.statvfs(folder)
        return cls(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)


def mib(count: int) -> str:
    """Bytes in whole MiB, rounded down: never more than there is."""
    return f"{count // _MIB} MiB"


def lacking(free: Free, needed_bytes: int, what_for: str) -> str:
    """What holds the work back, in words; "" where there is room."""
    if not free.known or free.free_bytes >= needed_bytes:
        return ""
    if needed_bytes > free.total_bytes:
        return f"the whole disk has {mib(free.total_bytes)}, {mib(needed_bytes)} needed: {what_for}"
    return f"{mib(free.free_bytes)} free, {mib(needed_bytes)} needed: {what_for}"


def refusal(error: BaseException) -> str:
    """The words of an error that comes from a full disk or quota; "" where it is another one."""
    for cause in causes(error):
        if isinstance(cause, DiskFullError) or (isinstance(cause, OSError) and cause.errno in FULL):
            words = error.message if isinstance(error, ExplainedError) else str(cause)
            return words or "the disk is full"
    return ""


class Room:
    """The space that a job works in.

    Args:
        clock: monotonic seconds.
        sleep: waits so many seconds.

    Attributes:
        reason: what is lacking now, in words; "" while nothing is waited for.
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

    def low(self) -> str:
        """What is lacking for the work to go on; "" where nothing is."""
        return lacking(Free.at(self._work_dir), self._settings.disk_low_bytes, _KEY)

    def refuses(self, error: BaseException) -> bool:
        """Whether an error comes from want of space; then ``wait`` waits before the next try."""
        words = refusal(error)
        if not words:
            return False
        self._refusals += 1
        self.reason = f"{words} ({mib(Free.at(self._work_dir).free_bytes)} free)"
        return True

    def worked(self) -> None:
        """Something was written: the next refusal is the first again."""
        self._refusals = 0

    def wait(
        self,
        *,
        needed_bytes: int = 0,
        what_for: str = "",
        should_stop: StopCheck,
        on_wait: Callable[[], None],
    ) -> None:
        """Wait until there is room, and after a refusal until another try makes sense.

        Args:
            needed_bytes: more than the work needs anyway, for the purpose ``what_for``.
            on_wait: called several times a second meanwhile.

        Raises:
            JobStopped: asked to stop.
            DiskFullError: it took longer than ``disk_wait_s``, or the disk can never have so much room.
        """
        begin = self._clock()
        before = Free.at(self._work_dir)
        while True:
            free = Free.at(self._work_dir)
            lack = lacking(free, self._settings.disk_low_bytes, _KEY) or lacking(free, needed_bytes, what_for)
            waited_s = self._clock() - begin
            if not lack and (not self.reason or self._is_worth_a_try(before, free, waited_s)):
                self.reason = ""
                return
            self.reason = lack or self.reason
            self._give_up(free, needed_bytes, waited_s)
            on_wait()
            if should_stop():
                raise JobStopped("the job was asked to stop while it waited for space")
            self._sleep(_BEAT_S)

    def _is_worth_a_try(self, before: Free, now: Free, waited_s: float) -> bool:
        if now.free_bytes >= before.free_bytes + _GROWN_BYTES or not self._refusals:
            return True
        doublings = min(self._refusals - 1, 30)
        return waited_s >= min(_TRY_LONGEST_S, self._settings.cool_down_s * 2.0**doublings)

    def _give_up(self, free: Free, needed_bytes: int, waited_s: float) -> None:
        never = free.known and max(needed_bytes, self._settings.disk_low_bytes) > free.total_bytes
        if never:
            raise DiskFullError(
                self.reason, remedy="Set what is needed to less, or use a larger disk.", doctor_check="share-limits"
            )
        if waited_s >= self._settings.disk_wait_s:
            raise DiskFullError(f"{self.reason}; waited {waited_s:.0f} s (degradation.disk_wait_s)")
