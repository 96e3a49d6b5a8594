"""Files that the service may not read: left where they are, named with a remedy, and taken once they may be read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePath

import structlog

from daemon.claims import Candidate
from daemon.errors import FileUnreadableError
from daemon.moves import open_folder
from daemon.naming import printable

UNREADABLE = FileUnreadableError("The service may not read this file.")
_LOGGED_AT_MOST = 10_000

log = structlog.get_logger(__name__)


class Barred:
    """The settled files of one inbox that are not taken, because they or their sidecar may not be read.

    A file would have to be moved into its job first to find that out there: so it is opened, and closed, before.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, str] = {}  # by recording: the file that may not be read
        self._logged: set[str] = set()

    def __iter__(self) -> Iterator[str]:
        """The files that need the permission."""
        return iter(sorted(set(self._files.values())))

    def keys(self) -> set[str]:
        """The recordings that wait."""
        return set(self._files)

    def admit(self, candidate: Candidate) -> bool:
        """Whether the recording and its sidecar may be read; if not, it is held until they may."""
        files = [found.relative for found in (candidate.found, candidate.sidecar) if found]
        forbidden = next((file for file in files if not _may_read(self._folder, file)), None)
        if forbidden is None:
            return True
        self._files[candidate.relative] = forbidden
        self._log_once(forbidden, candidate.inbox.path)
        return False

    def holds(self, relative: str) -> bool:
        """Whether a recording still has to wait; one that has not been held never does."""
        if relative in self._files and _may_read(self._folder, self._files[relative]):
            self.forget(relative)
        return relative in self._files

    def forget(self, relative: str) -> None:
        self._files.pop(relative, None)

    def _log_once(self, relative: str, inbox: str) -> None:
        if relative in self._logged or len(self._logged) >= _LOGGED_AT_MOST:
            return
        self._logged.add(relative)
        told = {"code": UNREADABLE.code, "reason": UNREADABLE.message, "remedy": UNREADABLE.remedy}
        log.warning("file waits", file=printable(relative), inbox=inbox, **told)


def _may_read(folder: Path, relative: str) -> bool:
    """False where permissions forbid it; other trouble shows when the file is taken."""
    path = PurePath(relative)
    try:
        with open_folder(folder, path.parent) as folder_fd:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            os.close(os.open(path.name, flags, dir_fd=folder_fd))
    except PermissionError:
        return False
    except OSError:
        return True
    return True
