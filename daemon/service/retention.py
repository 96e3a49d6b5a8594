"""Removing originals after their time, where the configuration asks for that."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path, PurePath

import structlog

from daemon.clock import Clock
from daemon.config.settings import RetentionSettings
from daemon.share.naming import printable
from daemon.share.rename import open_folder

_SWEEP_EVERY_S = 3600.0
_SLICE = 200  # entries looked at in one step
_JUMP_S = 60.0  # what the share's clock may gain or lose between two looks
_MISTRUST_S = 86400.0  # how long nothing is removed after the share's clock was set: it may have been set wrongly

log = structlog.get_logger(__name__)


class Retention:
    """Sweeps the originals folder now and then, a slice at a time.

    The first look at the share's clock removes nothing: a machine that starts with a wrong one has it set soon.
    """

    def __init__(self, originals: Path, settings: RetentionSettings, clock: Clock) -> None:
        self._originals = originals
        self.settings = settings
        self._clock = clock
        self._next_at = clock()
        self._sweep: Iterator[None] = iter(())
        self._offset_s: float | None = None  # of the share's clock against the monotonic one

    def advance(self) -> None:
        """Do a slice of a sweep, if it is time."""
        if self.settings.originals == "keep":
            return
        try:
            if self._clock() >= self._next_at:
                self._next_at = self._clock() + _SWEEP_EVERY_S
                self._begin(share_time_s(self._originals))
            for _ in islice(self._sweep, _SLICE):
                pass
        except OSError as exc:
            log.warning("originals cannot be looked through", reason=str(exc))

    def _begin(self, now_s: float) -> None:
        """Begin a sweep where the share's clock has gone on as the monotonic one has."""
        before, self._offset_s = self._offset_s, now_s - self._clock()
        self._sweep = iter(())
        if before is None:
            return
        if abs(self._offset_s - before) > _JUMP_S:
            log.warning("the clock was set; no original is removed for a day", by_s=round(self._offset_s - before))
            self._next_at = self._clock() + _MISTRUST_S
        else:
            self._sweep = _remove_older(self._originals, now_s, self.settings.originals_days * 86400)


def share_time_s(folder: Path) -> float:
    """What the clock says that dates the files of a folder: on a network share it is the server's.

    Raises:
        OSError: the folder is not there, or may not be written.
    """
    os.utime(folder)
    return folder.stat().st_ctime


def _remove_older(folder: Path, now_s: float, age_s: float) -> Iterator[None]:
    """Every path is taken from an open directory: between two slices a folder may be swapped for a link."""
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
