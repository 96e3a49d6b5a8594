"""What claims, deliveries and checkpoints rest on: renames, links, and data that is really on the disk."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from daemon.diagnostics.measurements.target import Site, refusal
from daemon.share.rename import rename_no_replace
from engines.files import sync_directory

OVERWRITES = "overwrites"
_SYNCS = 5
_WRITTEN_BYTES = 4 * 2**20


@dataclass(frozen=True, slots=True)
class Renaming:
    """How files change their names. The refusals are "" where it works, an error's name, or "overwrites".

    Attributes:
        protocol: how files are published without ever replacing one: "rename" (renameat2, RENAME_NOREPLACE),
            "link" (link and unlink), or "none".
        inode_kept, mtime_kept: a renamed file is recognised by these.
        writer_follows: whoever has the file open goes on writing into the renamed one.
    """

    plain: str
    no_replace: str
    link: str
    folder: str
    inode_kept: bool
    mtime_kept: bool
    writer_follows: bool
    protocol: str

    @classmethod
    def measured(cls, site: Site) -> Self:
        with site.scratch() as folder:
            no_replace = _without_replacing(folder, "rename", rename_no_replace)
            link = _without_replacing(folder, "link", _link_and_unlink)
            plain, inode_kept, mtime_kept = _plain(folder)
            return cls(
                plain,
                no_replace,
                link,
                _folder(folder),
                inode_kept,
                mtime_kept,
                _writer_follows(folder),
                "rename" if not no_replace else "link" if not link else "none",
            )


def _without_replacing(folder: Path, name: str, move: Callable[[Path, Path], None]) -> str:
    """Move a file to a free name and to one that is taken."""
    source, taken, free = (folder / f"{name}-{part}" for part in ("source", "taken", "free"))
    source.write_bytes(b"new")
    taken.write_bytes(b"old")
    refused = refusal(lambda: move(source, taken))
    if taken.read_bytes() != b"old":
        return OVERWRITES
    return refusal(lambda: move(source, free)) if refused == "EEXIST" else refused or OVERWRITES


def _link_and_unlink(source: Path, target: Path) -> None:
    os.link(source, target, follow_symlinks=False)
    source.unlink()


def _plain(folder: Path) -> tuple[str, bool, bool]:
    source, target = folder / "source", folder / "target"
    source.write_bytes(b"content")
    os.utime(source, (1_600_000_000, 1_600_000_000))
    before = source.stat()
    refused = refusal(lambda: source.rename(target))
    after = (source if refused else target).stat()
    return refused, before.st_ino == after.st_ino, before.st_mtime_ns == after.st_mtime_ns


def _folder(folder: Path) -> str:
    """A job's directory is renamed, with files in it, when another host takes it over."""
    job = folder / "job"
    job.mkdir()
    (job / "file").write_bytes(b"content")
    return refusal(lambda: job.rename(folder / "job~2"))


def _writer_follows(folder: Path) -> bool:
    source, target = folder / "open", folder / "open-moved"
    with source.open("wb", buffering=0) as writer:
        writer.write(b"before")
        if refusal(lambda: source.rename(target)) or refusal(lambda: writer.write(b" and after")):
            return False
    return target.read_bytes() == b"before and after"


@dataclass(frozen=True, slots=True)
class Syncing:
    """Whether data can be forced to the disk, and what that takes.

    Attributes:
        file: "" where a file's content can be, else the error's name.
        folder: whether a folder's names can be.
    """

    file: str
    folder: bool
    median_ms: float
    worst_ms: float
    write_mb_per_s: float

    @classmethod
    def measured(cls, site: Site) -> Self:
        with site.scratch() as folder:
            small = folder / "small"
            file = refusal(lambda: _write(small, b"x"))
            times_ms = [_timed_ms(lambda: _write(small, b"x")) for _ in range(_SYNCS)] if not file else [0.0]
            large_ms = _timed_ms(lambda: _write(folder / "large", bytes(_WRITTEN_BYTES))) if not file else 0.0
            return cls(
                file,
                sync_directory(folder),
                round(statistics.median(times_ms), 2),
                round(max(times_ms), 2),
                round(_WRITTEN_BYTES / 1e3 / large_ms, 1) if large_ms else 0.0,
            )


def _write(path: Path, content: bytes) -> None:
    with path.open("wb", buffering=0) as file:
        file.write(content)
        os.fsync(file.fileno())


def _timed_ms(action: Callable[[], None]) -> float:
    begin = time.perf_counter()
    action()
    return (time.perf_counter() - begin) * 1e3
