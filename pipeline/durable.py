"""Writes files atomically and durably: after a crash or a power cut they are complete or not there.

Other users may put files into the same folder. Whatever is in the way is removed; links and pipes are never written to.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from pipeline.errors import DiskFullError, StorageError

FULL = {errno.ENOSPC, errno.EDQUOT}
_NO_DIRECTORY_SYNC = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}  # of file systems without that


@contextmanager
def storage_errors(what: str) -> Iterator[None]:
    """Convert errors of the operating system to errors for people; ``what`` begins their message.

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
    """Make the names in a directory durable; return False if the file system does not support that.

    Raises:
        OSError: it supports that and failed.
    """
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    except OSError as exc:
        if exc.errno not in _NO_DIRECTORY_SYNC:
            raise
        return False
    finally:
        os.close(fd)
    return True


def make_folder(path: Path) -> None:
    """Make a folder if there is none; remove a file or link with this name."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
    path.mkdir(exist_ok=True)


def open_new(path: Path) -> IO[bytes]:
    """Open a new file for writing, in place of any file or link with this name.

    Raises:
        OSError: it cannot be made, or a folder has this name.
    """
    path.unlink(missing_ok=True)
    return path.open("xb")


def commit(file: IO[bytes], final: Path) -> None:
    """Close a new file and give it its final name, durably."""
    with file:
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).replace(final)
    sync_directory(final.parent)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a new file that replaces ``path`` atomically and durably if the block ends without an error."""
    part = path.with_name(path.name + ".part")
    try:
        with open_new(part) as file:
            yield file
            commit(file, path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def write_durably(path: Path, data: bytes) -> None:
    """Replace a small file atomically and durably."""
    with storage_errors(f"writing {path.name}"), replacing(path) as file:
        file.write(data)
