"""Files that the service may not take: left where they are, named with a remedy, and taken once permissions let it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path, PurePath

import structlog

from daemon.claims import Candidate
from daemon.errors import DaemonError, FileUnreadableError, FolderReadOnlyError
from daemon.moves import open_folder
from daemon.naming import printable

UNREADABLE = FileUnreadableError("The service may not read this file.")
READ_ONLY = FolderReadOnlyError("The service may not take this file out of its folder.")
_LOGGED_AT_MOST = 10_000

log = structlog.get_logger(__name__)


class Barred:
    """The settled files of one inbox that are not taken, because permissions forbid it for them or their sidecar.

    A file would have to be moved into its job first to find out there that it may not be read: so it is opened, and
    closed, before.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, tuple[str, DaemonError]] = {}  # by recording: the file that is forbidden, and why
        self._logged: set[str] = set()

    @property
    def reasons(self) -> Mapping[str, DaemonError]:
        """The files that need a permission, and which."""
        return dict(sorted(self._files.values(), key=lambda pair: pair[0]))

    def keys(self) -> set[str]:
        """The recordings that wait."""
        return set(self._files)

    def admit(self, candidate: Candidate) -> bool:
        """Whether the recording and its sidecar may be taken; if not, it is held until they may."""
        for found in (candidate.found, candidate.sidecar):
            obstacle = _obstacle(self._folder, found.relative) if found else None
            if found and obstacle:
                self._files[candidate.relative] = found.relative, obstacle
                self._log_once(found.relative, obstacle, candidate.inbox.path)
                return False
        return True

    def holds(self, relative: str) -> bool:
        """Whether a recording still has to wait; one that has not been held never does."""
        if relative in self._files and _obstacle(self._folder, self._files[relative][0]) is None:
            self.forget(relative)
        return relative in self._files

    def forget(self, relative: str) -> None:
        self._files.pop(relative, None)

    def _log_once(self, relative: str, obstacle: DaemonError, inbox: str) -> None:
        if relative in self._logged or len(self._logged) >= _LOGGED_AT_MOST:
            return
        self._logged.add(relative)
        told = {"code": obstacle.code, "reason": obstacle.message, "remedy": obstacle.remedy}
        log.warning("file waits", file=printable(relative), inbox=inbox, **told)


def _obstacle(folder: Path, relative: str) -> DaemonError | None:
    """What permissions forbid, None where nothing; other trouble shows when the file is taken."""
    path = PurePath(relative)
    try:
        with open_folder(folder, path.parent) as folder_fd:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            os.close(os.open(path.name, flags, dir_fd=folder_fd))
            may_move = os.access(".", os.W_OK | os.X_OK, dir_fd=folder_fd, effective_ids=True)
    except PermissionError:
        return UNREADABLE
    except OSError:
        return None
    return None if may_move else READ_ONLY
