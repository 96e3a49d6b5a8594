"""Measurements of files on the share: owners and permissions of new files, times, and possible names."""

from __future__ import annotations

import os
import time
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from daemon.diagnostics.measurements.target import Target, probe_in, refusal

_ODD_NS = 123_456_789
_UNITS_NS = (1, 100, 1_000, 1_000_000, 10_000_000, 10**9, 2 * 10**9)
_MTIME_S = 1_600_000_000
_LONGEST_NAMES = (255, 143, 127, 63)  # ext4, eCryptfs, and what is left
_TRICKY = {
    "colon": b"a:b.mp4",
    "question mark": b"a?b.mp4",
    "quote": b'a"b.mp4',
    "backslash": b"a\\b.mp4",
    "trailing blank": b"a.mp4 ",
    "trailing dot": b"a.",
    "line break": b"a\nb.mp4",
    "Hangul": "\uc778\ud130\ubdf0.mp4".encode(),
    "emoji": "\U0001f3ac.mp4".encode(),
    "bytes that are no UTF-8": b"a\xff.mp4",
}


@dataclass(frozen=True, slots=True)
class Folder:
    """One folder of the share, and a test file that was created in it and moved out of it.

    Attributes:
        refused: the name of the error if no file can be created, else ""; the other values are then unknown.
        crossing: the name of the error if the file cannot be renamed into the state folder, else "".
        mode, gid: of the folder.
        file_mode, file_uid, file_gid: of the file.
    """

    name: str
    refused: str
    crossing: str = ""
    mode: int = 0
    gid: int = 0
    file_mode: int = 0
    file_uid: int = 0
    file_gid: int = 0


@dataclass(frozen=True, slots=True)
class Folders:
    """All folders of the share, as this process can use them."""

    uid: int
    gid: int
    umask: int
    folders: list[Folder]

    @classmethod
    def measured(cls, target: Target) -> Self:
        umask = os.umask(0)
        os.umask(umask)
        with target.scratch() as scratch:
            found = [_folder(name, folder, scratch) for name, folder in target.folders.items()]
        return cls(os.geteuid(), os.getegid(), umask, found)


def _folder(name: str, folder: Path, scratch: Path) -> Folder:
    if not folder.is_dir():
        return Folder(name, "ENOENT")
    probe, moved = probe_in(folder), scratch / "moved"
    about = folder.stat()
    if refused := refusal(lambda: probe.open("xb").close()):
        return Folder(name, refused, mode=about.st_mode & 0o7777, gid=about.st_gid)
    try:
        made = probe.stat()
        crossing = refusal(lambda: probe.rename(moved)) or refusal(lambda: moved.rename(probe))
    finally:
        probe.unlink(missing_ok=True)
        moved.unlink(missing_ok=True)
    modes = about.st_mode & 0o7777, about.st_gid, made.st_mode & 0o7777
    return Folder(name, "", crossing, *modes, made.st_uid, made.st_gid)


@dataclass(frozen=True, slots=True)
class Times:
    """Modification times.

    Attributes:
        ahead_s: how much the share's clock is ahead of this machine's.
    """

    granularity_ns: int
    ahead_s: float

    @classmethod
    def measured(cls, target: Target) -> Self:
        with target.scratch() as folder:
            path = folder / "file"
            before = time.time()
            path.write_bytes(b"content")
            middle = (before + time.time()) / 2
            ahead_s = path.stat().st_mtime - middle
            wanted = _MTIME_S * 10**9 + _ODD_NS
            os.utime(path, ns=(wanted, wanted))
            kept = path.stat().st_mtime_ns
            units = (unit for unit in _UNITS_NS if abs(wanted - kept) < unit and kept % unit == 0)
            return cls(next(units, 10**10), round(ahead_s, 3))


@dataclass(frozen=True, slots=True)
class Names:
    """Which names files may have, and whether the file system changes them.

    Attributes:
        one_spelling: the composed and decomposed Unicode forms are the same name.
        refused: kinds of names that cannot be used.
        changed: kinds of names that the file system changes.
    """

    case_sensitive: bool
    one_spelling: bool
    longest_bytes: int
    refused: list[str]
    changed: list[str]

    @classmethod
    def measured(cls, target: Target) -> Self:
        with target.scratch() as folder:
            (folder / "Case").write_bytes(b"")
            composed, apart = (unicodedata.normalize(form, "caf\xe9") for form in ("NFC", "NFD"))
            spelling = refusal(lambda: (folder / composed).write_bytes(b"")) == ""
            fits = (length for length in _LONGEST_NAMES if not _refuses(folder, b"n" * length))
            tried = {kind: _refuses(folder, name) for kind, name in _TRICKY.items()}
            listed = {os.fsencode(path.name) for path in folder.iterdir()}
            return cls(
                not (folder / "case").exists(),
                spelling and (folder / apart).exists(),
                next(fits, 0),
                [kind for kind, refused in tried.items() if refused],
                [kind for kind, refused in tried.items() if not refused and _TRICKY[kind] not in listed],
            )


def _refuses(folder: Path, name: bytes) -> str:
    return refusal(lambda: (folder / os.fsdecode(name)).write_bytes(b""))
