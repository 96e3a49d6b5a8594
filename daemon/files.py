"""Reads and writes files in folders that other people can write to: links are not followed, pipes never block."""

from __future__ import annotations

import errno
import json
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

NO_PLAIN_FILE = {errno.ELOOP, errno.EINVAL, errno.EFBIG, errno.EISDIR, errno.ENXIO}  # of errors of ``read_plain``


def read_plain(path: Path, most_bytes: int) -> bytes:
    """Return the content of a small regular file.

    Raises:
        OSError: it is not a regular file or is larger (``NO_PLAIN_FILE``), or it cannot be read.
    """
    # Without O_NONBLOCK, a pipe would wait for a writer.
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(fd, "rb") as file:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "It is no regular file", str(path))
        if found.st_size > most_bytes:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
        return file.read(most_bytes)


def read_json(path: Path, most_bytes: int) -> Any:
    """Return the JSON document in a small regular file.

    Raises:
        OSError: as in ``read_plain``.
        ValueError: it is not JSON, or nested too deeply.
    """
    try:
        return json.loads(read_plain(path, most_bytes))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def open_lock(path: Path) -> IO[bytes]:
    """Open a lock file, which is created if it is missing. Anything but a regular file is replaced: it holds no lock.

    Raises:
        OSError: it cannot be created or opened.
    """
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(path.lstat().st_mode):
            path.unlink()
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o666), "ab")


def overwrite_plain(path: Path, content: bytes) -> None:
    """Overwrite a regular file in place, which needs no free space; meanwhile readers may find half of it.

    Raises:
        OSError: it is not a regular file (ELOOP, EINVAL), has other hard links (EMLINK), or cannot be written.
    """
    fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(fd, "wb") as file:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "It is no regular file", str(path))
        if found.st_nlink > 1:
            raise OSError(errno.EMLINK, "It has another name besides", str(path))
        file.write(content)
        file.truncate()
