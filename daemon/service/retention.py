"""Removal of originals after their retention time, if the configuration sets one."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path, PurePath

import structlog

from daemon.clock import Clock, Every
from daemon.config.settings import RetentionSettings
from daemon.share.naming import printable
from daemon.share.rename import open_folder

_SWEEP_EVERY_S = 3600.0
_SLICE = 200  # files checked in one step
_JUMP_S = 60.0  # the share's clock may gain or lose less than this between two sweeps
_DISTRUST_S = 86400.0  # after the share's clock was set, perhaps wrongly, nothing is removed for this time

log = structlog.get_logger(__name__)


class Retention:
    """Sweeps the originals folder once an hour, a slice at a time.

    The first sweep removes nothing: a machine that starts with a wrong clock sets it soon.
    """

    def __init__(self, originals: Path, settings: RetentionSettings, clock: Clock) -> None:
        self._originals = originals
        self._clock = clock
        self._sweeps = Every(_SWEEP_EVERY_S, clock)
        self._sweep: Iterator[None] = iter(())
        self._offset_s: float | None = None  # the share's clock minus the monotonic clock
        self.apply(settings)

    def apply(self, settings: RetentionSettings) -> None:
        """Use other settings from now on."""
        self._settings = settings

    def advance(self) -> None:
        """Do a slice of a sweep, if it is time."""
        if self._settings.originals == "keep":
            return
        try:
            if self._sweeps.due():
                self._begin(share_time_s(self._originals))
            for _ in islice(self._sweep, _SLICE):
                pass
        except OSError as exc:
            log.warning("originals cannot be looked through", reason=str(exc))

    def _begin(self, now_s: float) -> None:
        """Begin a sweep, unless the share's clock has jumped since the last one."""
        before, self._offset_s = self._offset_s, now_s - self._clock()
        self._sweep = iter(())
        if before is None:
            return
        if abs(self._offset_s - before) > _JUMP_S:
            log.warning("the clock was set; no original is removed for a day", by_s=round(self._offset_s - before))
            self._sweeps.postpone(_DISTRUST_S)
        else:
            self._sweep = _remove_older(self._originals, now_s, self._settings.originals_days * 86400)


def share_time_s(folder: Path) -> float:
    """Return the time of the clock that dates the files of a folder; on a network share it is the server's.

    Raises:
        OSError: the folder is not there, or may not be written.
    """
    os.utime(folder)
    return folder.stat().st_ctime


def _remove_older(folder: Path, now_s: float, age_s: float) -> Iterator[None]:
    """Remove old files, one a step; paths start at an open directory, as a folder may become a link in between."""
    with open_folder(folder, PurePath()) as folder_fd:
        for _, _, names, fd in os.fwalk(".", dir_fd=folder_fd):
            for name in names:
                try:
                    _remove_if_older(name, fd, now_s, age_s)
                except OSError as exc:
                    log.warning("original cannot be removed", file=printable(name), reason=str(exc))
                yield


def _remove_if_older(name: str, folder_fd: int, now_s: float, limit_s: float) -> None:
    found = os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
    # The move into this folder set the change time; a copied file's modification time may be years ago.
    age_s = now_s - max(found.st_ctime, found.st_mtime)
    if stat.S_ISREG(found.st_mode) and age_s > limit_s:
        os.unlink(name, dir_fd=folder_fd)
        log.info("original removed", file=printable(name), age_days=round(age_s / 86400, 1))
