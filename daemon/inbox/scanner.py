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
from pathlib import Path, PurePath

from daemon.inbox import ignored_names as ignored
from daemon.inbox import sidecar_names
from daemon.inbox.ignored_names import Kind
from daemon.inbox.stability import Signature
from daemon.share.rename import open_folder

_LONGEST_PATH_BYTES = 3800  # PATH_MAX is 4096; delivery puts longer names into longer folders


class SkipReason(Enum):
    """Why something in an inbox is left alone, for the one line that is logged about it."""

    EXTENSION = "its extension is not in scan.extensions"
    LINK = "it is a symbolic link"
    SPECIAL = "it is no regular file"
    FOLDER = "it is a folder that is named like a video"
    MOUNT = "another file system is mounted there"
    TOO_LONG = "its path is too long"
    UNREADABLE = "it cannot be read"
    NAME = "its name is that of a hidden or system file"
    UNFINISHED = "its name is that of an unfinished file"
    PLACEHOLDER = "its name is that of a file that lies in a cloud only"
    PROXY = "its name is that of a camera's small copy, thumbnail or menu"
    BUNDLE = "it is another program's library or project"


_REFUSALS = {
    Kind.SYSTEM: SkipReason.NAME,
    Kind.UNFINISHED: SkipReason.UNFINISHED,
    Kind.PLACEHOLDER: SkipReason.PLACEHOLDER,
    Kind.PROXY: SkipReason.PROXY,
    Kind.BUNDLE: SkipReason.BUNDLE,
}


@dataclass(frozen=True, slots=True)
class Found:
    """A regular file that may be taken.

    Attributes:
        relative: its path inside the inbox.
        is_sidecar: it only goes along with a recording.
        fault: what a sidecar is that is no regular file, else "".
    """

    relative: str
    signature: Signature
    is_sidecar: bool = False
    fault: str = ""


@dataclass(frozen=True, slots=True)
class LeftAlone:
    """Something that is never taken, and why."""

    relative: str
    reason: SkipReason


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
                yield LeftAlone(folder, SkipReason.UNREADABLE)

    def _try(self, entry: os.DirEntry[str], relative: str, folders: list[str]) -> Found | LeftAlone | None:
        """Look at one entry; one that cannot be looked at does not hide those after it."""
        try:
            return self._look(entry, relative, folders)
        except FileNotFoundError:  # taken away between listing and looking
            return None
        except OSError:
            self.complete = False
            return LeftAlone(relative, SkipReason.UNREADABLE)

    def _look(self, entry: os.DirEntry[str], relative: str, folders: list[str]) -> Found | LeftAlone | None:
        is_folder = entry.is_dir(follow_symlinks=False)
        if row := ignored.find(entry.name, is_folder=is_folder):
            told = self._tell_all or row.kind is not Kind.SYSTEM
            return LeftAlone(relative, _REFUSALS[row.kind]) if told else None
        if len(os.fsencode(self._inbox)) + len(os.fsencode(relative)) > _LONGEST_PATH_BYTES:
            return LeftAlone(relative, SkipReason.TOO_LONG)
        is_video = entry.name.lower().endswith(self._suffixes)
        if not is_video and sidecar_names.is_sidecar(entry.name, is_folder=is_folder):
            return _sidecar(entry, relative)
        if entry.is_symlink():
            return LeftAlone(relative, SkipReason.LINK)
        if is_folder:
            return (
                LeftAlone(relative, SkipReason.FOLDER) if is_video else self._look_at_folder(entry, relative, folders)
            )
        return self._look_at_file(entry, relative) if is_video else LeftAlone(relative, SkipReason.EXTENSION)

    def _look_at_folder(self, entry: os.DirEntry[str], relative: str, folders: list[str]) -> LeftAlone | None:
        if entry.stat(follow_symlinks=False).st_dev != self._device:
            return LeftAlone(relative, SkipReason.MOUNT)
        folders.append(relative)
        return None

    def _look_at_file(self, entry: os.DirEntry[str], relative: str) -> Found | LeftAlone | None:
        found = entry.stat(follow_symlinks=False)
        if not stat.S_ISREG(found.st_mode):
            return LeftAlone(relative, SkipReason.SPECIAL)
        return Found(relative, Signature.of(found))


def _sidecar(entry: os.DirEntry[str], relative: str) -> Found:
    found = entry.stat(follow_symlinks=False)
    return Found(relative, Signature.of(found), is_sidecar=True, fault=sidecar_names.fault_of(found.st_mode))
