"""Finding files in an inbox: the scan is the truth, file-system events only wake it.

A walk yields after every entry, so that twenty thousand files never hold up the rest of the service. It
follows no link and opens no file.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from pathlib import Path, PurePath

from daemon.moves import open_folder
from daemon.naming import SIDECAR_SUFFIX
from daemon.settle import Signature

# What tools leave on shares: editors, NAS indexes, recycle bins, sync clients, unfinished downloads.
_IGNORED_PATTERNS = (
    ".*",
    "~$*",
    "@eadir",
    "#recycle",
    "__macosx",
    "~syncthing~*",
    "*.part",
    "*.partial",
    "*.crdownload",
    "*.tmp",
    "*.filepart",
    "thumbs.db",
    "desktop.ini",
)
_LONGEST_PATH_BYTES = 3800  # PATH_MAX is 4096; delivery puts longer names into longer folders


class Refusal(Enum):
    """Why something in an inbox is left alone, for the one line that is logged about it."""

    EXTENSION = "its extension is not in scan.extensions"
    LINK = "it is a symbolic link"
    SPECIAL = "it is no regular file"
    FOLDER = "it is a folder that is named like a video"
    MOUNT = "another file system is mounted there"
    TOO_LONG = "its path is too long"
    UNREADABLE = "it cannot be read"
    NAME = "its name is that of a hidden, temporary or unfinished file"


@dataclass(frozen=True, slots=True)
class Found:
    """A regular file that may be taken. ``relative`` is its path inside the inbox."""

    relative: str
    signature: Signature

    @property
    def is_sidecar(self) -> bool:
        """Whether it only goes along with a recording."""
        return self.relative.endswith(SIDECAR_SUFFIX)


@dataclass(frozen=True, slots=True)
class LeftAlone:
    """Something that is never taken, and why."""

    relative: str
    reason: Refusal


def is_ignored(name: str) -> bool:
    """Whether a file or folder of this name is some tool's business and nobody's recording."""
    lower = name.lower()
    return any(fnmatchcase(lower, pattern) for pattern in _IGNORED_PATTERNS)


class Walk:
    """One pass over an inbox, depth first.

    Args:
        tell_all: also tell what has the name of some tool's file; of these a share may hold a great many.

    Attributes:
        complete: every folder could be read, so what was not found is not there.
    """

    def __init__(self, inbox: Path, extensions: tuple[str, ...], *, tell_all: bool = False) -> None:
        self._inbox = inbox
        self._tell_all = tell_all
        self._suffixes = tuple(f".{extension}" for extension in extensions)
        self._device = os.lstat(inbox).st_dev
        self.complete = True

    def __iter__(self) -> Iterator[Found | LeftAlone | None]:
        """Yields what is found; None for entries that are ignored, so that a caller can count its slices."""
        folders = [""]
        while folders:
            folder = folders.pop()
            try:
                with open_folder(self._inbox, PurePath(folder)) as fd, os.scandir(fd) as entries:
                    for entry in entries:
                        yield self._try(entry, os.path.join(folder, entry.name), folders)  # noqa: PTH118
            except OSError:
                self.complete = False
                yield LeftAlone(folder, Refusal.UNREADABLE)

    def _try(self, entry: os.DirEntry[str], relative: str, folders: list[str]) -> Found | LeftAlone | None:
        """Look at one entry; one that cannot be looked at does not hide those after it."""
        try:
            return self._look(entry, relative, folders)
        except FileNotFoundError:  # taken away between listing and looking
            return None
        except OSError:
            self.complete = False
            return LeftAlone(relative, Refusal.UNREADABLE)

    def _look(self, entry: os.DirEntry[str], relative: str, folders: list[str]) -> Found | LeftAlone | None:
        if is_ignored(entry.name):
            return LeftAlone(relative, Refusal.NAME) if self._tell_all else None
        if len(os.fsencode(self._inbox)) + len(os.fsencode(relative)) > _LONGEST_PATH_BYTES:
            return LeftAlone(relative, Refusal.TOO_LONG)
        if entry.is_symlink():
            return LeftAlone(relative, Refusal.LINK)
        if entry.is_dir(follow_symlinks=False):
            return self._look_at_folder(entry, relative, folders)
        if not entry.name.lower().endswith(self._suffixes) and not entry.name.endswith(SIDECAR_SUFFIX):
            return LeftAlone(relative, Refusal.EXTENSION)
        return self._look_at_file(entry, relative)

    def _look_at_folder(self, entry: os.DirEntry[str], relative: str, folders: list[str]) -> LeftAlone | None:
        if entry.name.lower().endswith(self._suffixes):
            return LeftAlone(relative, Refusal.FOLDER)
        if entry.stat(follow_symlinks=False).st_dev != self._device:
            return LeftAlone(relative, Refusal.MOUNT)
        folders.append(relative)
        return None

    def _look_at_file(self, entry: os.DirEntry[str], relative: str) -> Found | LeftAlone | None:
        found = entry.stat(follow_symlinks=False)
        if not stat.S_ISREG(found.st_mode):
            return LeftAlone(relative, Refusal.SPECIAL)
        return Found(relative, Signature.of(found))
