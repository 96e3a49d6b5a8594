"""Finding files in an inbox by scanning it; events of the file system only start a scan early.

A walk yields after each entry, so that a large inbox does not block the service. It follows no links and opens no
files.
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
    """Why an entry of an inbox is ignored, as it is logged."""

    EXTENSION = "its extension is not in scan.extensions"
    LINK = "it is a symbolic link"
    SPECIAL = "it is not a regular file"
    FOLDER = "it is a folder that is named like a video"
    MOUNT = "another file system is mounted there"
    TOO_LONG = "its path is too long"
    UNREADABLE = "it cannot be read"
    NAME = "its name is that of a hidden or system file"
    UNFINISHED = "its name is that of an unfinished file"
    PLACEHOLDER = "its name is that of a file that is only in a cloud"
    PROXY = "its name is that of a camera's small copy, thumbnail or menu"
    BUNDLE = "it is another program's library or project"


_REASONS = {
    Kind.SYSTEM: SkipReason.NAME,
    Kind.UNFINISHED: SkipReason.UNFINISHED,
    Kind.PLACEHOLDER: SkipReason.PLACEHOLDER,
    Kind.PROXY: SkipReason.PROXY,
    Kind.BUNDLE: SkipReason.BUNDLE,
}


@dataclass(frozen=True, slots=True)
class Found:
    """A file that may be claimed.

    Attributes:
        relative: its path inside the inbox.
        is_sidecar: it is claimed only together with a recording.
        fault: what a sidecar is if it is not a regular file, else "".
    """

    relative: str
    signature: Signature
    is_sidecar: bool = False
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Ignored:
    """An entry that is ignored, and why."""

    relative: str
    reason: SkipReason


class Walk:
    """One pass over an inbox, depth first.

    Args:
        all_ignored: also yield hidden and system files, of which a share may hold many.

    Attributes:
        complete: every folder could be read, so a file that was not found is not there.
    """

    def __init__(self, inbox: Path, extensions: tuple[str, ...], *, all_ignored: bool = False) -> None:
        self._inbox = inbox
        self._all_ignored = all_ignored
        self._suffixes = tuple(f".{extension}" for extension in extensions)
        self._device = os.lstat(inbox).st_dev
        self.complete = True

    def __iter__(self) -> Iterator[Found | Ignored | None]:
        """Yield each entry; None for an entry that is neither, so that the caller can interrupt the walk there."""
        folders = [""]
        while folders:
            folder = folders.pop()
            try:
                with open_folder(self._inbox, PurePath(folder)) as fd, os.scandir(fd) as entries:
                    for entry in entries:
                        yield self._try(entry, os.path.join(folder, entry.name), folders)  # noqa: PTH118
            except OSError:
                self.complete = False
                yield Ignored(folder, SkipReason.UNREADABLE)

    def _try(self, entry: os.DirEntry[str], relative: str, folders: list[str]) -> Found | Ignored | None:
        """Examine one entry; an error concerns this entry only."""
        try:
            return self._examine(entry, relative, folders)
        except FileNotFoundError:  # removed after it was listed
            return None
        except OSError:
            self.complete = False
            return Ignored(relative, SkipReason.UNREADABLE)

    def _examine(self, entry: os.DirEntry[str], relative: str, folders: list[str]) -> Found | Ignored | None:
        is_folder = entry.is_dir(follow_symlinks=False)
        if row := ignored.find(entry.name, is_folder=is_folder):
            listed = self._all_ignored or row.kind is not Kind.SYSTEM
            return Ignored(relative, _REASONS[row.kind]) if listed else None
        if len(os.fsencode(self._inbox)) + len(os.fsencode(relative)) > _LONGEST_PATH_BYTES:
            return Ignored(relative, SkipReason.TOO_LONG)
        is_video = entry.name.lower().endswith(self._suffixes)
        if not is_video and sidecar_names.is_sidecar(entry.name, is_folder=is_folder):
            return _sidecar(entry, relative)
        if entry.is_symlink():
            return Ignored(relative, SkipReason.LINK)
        if is_folder:
            return Ignored(relative, SkipReason.FOLDER) if is_video else self._examine_folder(entry, relative, folders)
        return self._examine_file(entry, relative) if is_video else Ignored(relative, SkipReason.EXTENSION)

    def _examine_folder(self, entry: os.DirEntry[str], relative: str, folders: list[str]) -> Ignored | None:
        if entry.stat(follow_symlinks=False).st_dev != self._device:
            return Ignored(relative, SkipReason.MOUNT)
        folders.append(relative)
        return None

    def _examine_file(self, entry: os.DirEntry[str], relative: str) -> Found | Ignored | None:
        found = entry.stat(follow_symlinks=False)
        if not stat.S_ISREG(found.st_mode):
            return Ignored(relative, SkipReason.SPECIAL)
        return Found(relative, Signature.of(found))


def _sidecar(entry: os.DirEntry[str], relative: str) -> Found:
    found = entry.stat(follow_symlinks=False)
    return Found(relative, Signature.of(found), is_sidecar=True, fault=sidecar_names.fault_of(found.st_mode))
