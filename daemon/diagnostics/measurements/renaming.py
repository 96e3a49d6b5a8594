"""Measurements of renames, links and flushes to the disk, on which claims, deliveries and checkpoints depend."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from daemon.diagnostics.measurements.target import Target, refusal
from daemon.share.rename import rename_no_replace
from engines.files import sync_directory

OVERWRITES = "overwrites"
_SYNCS = 5
_WRITTEN_BYTES = 4 * 2**20


@dataclass(frozen=True, slots=True)
class Renaming:
    """How files can be renamed.

    Attributes:
        plain, no_replace, link, folder: "" if it works, else the name of the error, or "overwrites".
        protocol: how files are published without replacing one: "rename" (renameat2, RENAME_NOREPLACE), "link" (link
            and unlink), or "none".
        inode_kept, mtime_kept: whether a rename keeps these; renamed files are recognised by them.
        writer_follows: whether a program with the file open continues to write to the renamed file.
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
    def measured(cls, target: Target) -> Self:
        with target.scratch() as folder:
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
    """Move a file to a free name and to a taken one; return the error's name, "overwrites" or ""."""
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
    """Rename a folder with a file in it, as when another host takes over a job; return the error's name or ""."""
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
    """Whether data can be flushed to the disk, and how long it takes.

    Attributes:
        file: "" if the content of a file can be flushed, else the name of the error.
        folder: whether the names in a folder can be flushed.
    """

    file: str
    folder: bool
    median_ms: float
    worst_ms: float
    write_mb_per_s: float

    @classmethod
    def measured(cls, target: Target) -> Self:
        with target.scratch() as folder:
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
