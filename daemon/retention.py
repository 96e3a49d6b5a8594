"""Removing originals after their time, where the configuration asks for that."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import structlog

from daemon.naming import printable
from daemon.settings import RetentionSettings
from daemon.settle import Clock

_SWEEP_EVERY_S = 3600.0
_SLICE = 200  # entries looked at in one step
_JUMP_S = 60.0  # what the wall clock may gain or lose between two looks
_MISTRUST_S = 86400.0  # how long nothing is removed after the wall clock was set: it may have been set wrongly

log = structlog.get_logger(__name__)


class Retention:
    """Sweeps the originals folder now and then, a slice at a time."""

    def __init__(self, originals: Path, settings: RetentionSettings, clock: Clock) -> None:
        self._originals = originals
        self.settings = settings
        self._clock = clock
        self._next_at = clock()
        self._sweep: Iterator[None] = iter(())
        self._offset_s = time.time() - clock()

    def advance(self) -> None:
        """Do a slice of a sweep, if it is time."""
        if self.settings.originals == "keep":
            return
        self._mistrust_jumps()
        if self._clock() >= self._next_at:
            self._next_at = self._clock() + _SWEEP_EVERY_S
            self._sweep = _remove_older(self._originals, self.settings.originals_days * 86400)
        try:
            for _ in islice(self._sweep, _SLICE):
                pass
        except OSError as exc:
            log.warning("original cannot be removed", reason=str(exc))


    def _mistrust_jumps(self) -> None:
        """Wait with everything where the wall clock does not go on as the monotonic one does."""
        before, self._offset_s = self._offset_s, time.time() - self._clock()
        if abs(self._offset_s - before) > _JUMP_S:
            log.warning("the clock was set; no original is removed for a day", by_s=round(self._offset_s - before))
            self._next_at = self._clock() + _MISTRUST_S
            self._sweep = iter(())


def _remove_older(folder: Path, age_s: float) -> Iterator[None]:
    for directory, _, names in os.walk(folder):
        for name in names:
            path = Path(directory, name)
            found = path.lstat()
            # The move into this folder set the change time; a copied file's modification time may be years ago.
            arrived = max(found.st_ctime, found.st_mtime)
            if stat.S_ISREG(found.st_mode) and time.time() - arrived > age_s:
                path.unlink()
                log.info("original removed", file=printable(name), age_days=round((time.time() - arrived) / 86400, 1))
            yield
