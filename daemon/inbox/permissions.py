"""Files that the service may not read or move. They wait, with a remedy, until the permissions change."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path, PurePath

import structlog

from daemon.clock import Clock
from daemon.errors import (
    DaemonError,
    FileUnreadableError,
    FolderReadOnlyError,
    MoveRefusedError,
    OtherFileSystemError,
)
from daemon.inbox.candidate import Candidate
from daemon.remedies import log_fields
from daemon.share.naming import printable
from daemon.share.rename import open_folder

UNREADABLE = FileUnreadableError("The service may not read this file.")
READ_ONLY = FolderReadOnlyError("The service may not take this file out of its folder.")
_LOGGED_AT_MOST = 10_000
_FORBIDDEN = {errno.EPERM, errno.EACCES, errno.EROFS}
_RETRY_S = 60.0
_RETRIES_PER_S = 2.0  # for all refused files together, as each trial makes and removes a job directory

log = structlog.get_logger(__name__)


class PermissionHolds:
    """The settled files of one inbox that wait because permissions forbid to claim them or their sidecar.

    A file is opened before the claim, to see whether it may be read. Other obstacles only show when it is moved.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._files: dict[str, tuple[str, DaemonError]] = {}  # by recording: the file that is forbidden, and why
        self._retry_at: dict[str, float] = {}  # by recording whose move was refused, and must be tried again
        self._logged: set[str] = set()

    @property
    def reasons(self) -> Mapping[str, DaemonError]:
        """The files that wait, and why."""
        return dict(sorted(self._files.values(), key=lambda pair: pair[0]))

    def keys(self) -> set[str]:
        """The recordings that wait."""
        return set(self._files)

    def admit(self, candidate: Candidate) -> bool:
        """Return whether the recording and its sidecar may be claimed; if not, the recording is held."""
        for found in (candidate.found, candidate.sidecar):
            obstacle = _obstacle(self._folder, found.relative) if found and not found.fault else None
            if found and obstacle:
                self._hold(candidate, found.relative, obstacle)
                return False
        return True

    def refuse(self, candidate: Candidate, error: OSError) -> bool:
        """Hold a recording if the error of its move will last; return whether it is held."""
        refusal = _refusal(error)
        if refusal is None:
            return False
        self._hold(candidate, candidate.relative, refusal)
        wait_s = max(_RETRY_S, len(self._retry_at) / _RETRIES_PER_S)
        self._retry_at[candidate.relative] = self._clock() + wait_s
        return True

    def holds(self, relative: str) -> bool:
        """Return whether a held recording must still wait; False for a recording that is not held."""
        if relative in self._files and not self._must_wait(relative):
            self.forget(relative)
        return relative in self._files

    def forget(self, relative: str) -> None:
        """Release a recording."""
        self._files.pop(relative, None)
        self._retry_at.pop(relative, None)

    def _must_wait(self, relative: str) -> bool:
        if relative in self._retry_at:
            return self._clock() < self._retry_at[relative]
        return _obstacle(self._folder, self._files[relative][0]) is not None

    def _hold(self, candidate: Candidate, relative: str, why: DaemonError) -> None:
        self._files[candidate.relative] = relative, why
        self._log_once(relative, why, candidate.inbox.path)

    def _log_once(self, relative: str, obstacle: DaemonError, inbox: str) -> None:
        if relative in self._logged or len(self._logged) >= _LOGGED_AT_MOST:
            return
        self._logged.add(relative)
        log.warning("file waits", file=printable(relative), inbox=inbox, **log_fields(obstacle))


def _refusal(error: OSError) -> DaemonError | None:
    """Return the meaning of a failed rename; None if it may succeed at any moment (EBUSY)."""
    if error.errno == errno.EXDEV:
        return OtherFileSystemError("This file is on another file system than the share.")
    if error.errno in _FORBIDDEN:
        reason = "The share does not let the service take this file out of its folder"
        return MoveRefusedError(f"{reason}: {error.strerror}.")
    return None


def _obstacle(folder: Path, relative: str) -> DaemonError | None:
    """Return what permissions forbid, None if nothing. Other errors show when the file is claimed."""
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
