"""Reading and writing where everybody may put things: links are not followed, pipes and devices never waited for."""

from __future__ import annotations

import errno
import json
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

NO_PLAIN_FILE = {errno.ELOOP, errno.EINVAL, errno.EFBIG, errno.EISDIR, errno.ENXIO}  # what ``read_plain`` says of them


def read_plain(path: Path, most_bytes: int) -> bytes:
    """The content of a small regular file.

    Raises:
        OSError: it is none, or larger than that (ELOOP, EINVAL, EFBIG), or it cannot be read.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe would wait for a writer
    with os.fdopen(fd, "rb") as file:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "It is no regular file", str(path))
        if found.st_size > most_bytes:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
        return file.read(most_bytes)


def read_json(path: Path, most_bytes: int) -> Any:
    """The document in a small regular file.

    Raises:
        OSError: as in ``read_plain``.
        ValueError: it is no JSON, or nested without end.
    """
    try:
        return json.loads(read_plain(path, most_bytes))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def open_lock(path: Path) -> IO[bytes]:
    """A file to be locked, made where there is none. What is no regular file goes: nobody can hold that as a lock.

    Raises:
        OSError: it cannot be made or opened.
    """
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(path.lstat().st_mode):
            path.unlink()
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o666), "ab")


def overwrite_plain(path: Path, content: bytes) -> None:
    """Write over a regular file where it lies, which takes no more room; meanwhile readers may find it torn.

    Raises:
        OSError: it is none (ELOOP, EINVAL), has other names besides (EMLINK), or cannot be written.
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
