"""Files that are either wholly there or not there at all, also after a crash or a power cut."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import DiskFullError, StorageError

FULL = {errno.ENOSPC, errno.EDQUOT}
_CANNOT_SYNC = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}  # a file system without fsync for directories


@contextmanager
def storage_errors(what: str) -> Iterator[None]:
    """Turn the operating system's refusals into errors that a user can read.

    Raises:
        DiskFullError: the file system or the quota is full.
        StorageError: any other failure of the file system.
    """
    try:
        yield
    except OSError as exc:
        reason = f"{what} failed: {exc.strerror or exc}"
        raise (DiskFullError if exc.errno in FULL else StorageError)(reason) from exc


def sync_directory(path: Path) -> bool:
    """Make the names in a directory durable; False where the file system knows no way to do that.

    Raises:
        OSError: it knows one and failed.
    """
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    except OSError as exc:
        if exc.errno not in _CANNOT_SYNC:
            raise
        return False
    finally:
        os.close(fd)
    return True


def commit(part: Path, final: Path) -> None:
    """Give a finished temporary file its final name, durably. Content must be flushed to ``part`` already."""
    with part.open("rb") as f:
        os.fsync(f.fileno())
    part.replace(final)
    sync_directory(final.parent)


def write_durably(path: Path, data: bytes) -> None:
    """Replace a small file atomically and durably."""
    part = path.with_name(path.name + ".part")
    with storage_errors(f"writing {path.name}"):
        part.write_bytes(data)
        commit(part, path)
