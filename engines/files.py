"""Files that are either complete or not there at all, also after a crash or a power cut.

Other people may create files where we write. A file that already has the name is removed; links and pipes are never
written to.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

FULL = {errno.ENOSPC, errno.EDQUOT}
_CANNOT_SYNC = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}  # a file system without fsync for directories


def sync_directory(path: Path) -> bool:
    """Make the names in a directory durable.

    Returns:
        False if the file system does not support that.

    Raises:
        OSError: it supports that and failed.
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


def make_folder(path: Path) -> None:
    """Create a folder if there is none. Anything else of this name is removed, links too."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
    path.mkdir(exist_ok=True)


def open_new(path: Path) -> IO[bytes]:
    """Open a new file for writing; a file, link or pipe of this name is removed first.

    Raises:
        OSError: the file cannot be created, for instance because a folder has this name.
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


def part_path(path: Path, writer: str = "") -> Path:
    """Return the path of a file while it is being written.

    Args:
        path: the final path.
        writer: distinguishes writers that may replace the file at the same time; the part is then hidden.
    """
    return path.with_name(f".{path.name}.{writer}.part" if writer else f"{path.name}.part")


@contextmanager
def replacing(path: Path, *, writer: str = "", durable: bool = True, mode: int | None = None) -> Iterator[IO[bytes]]:
    """Open a new file that atomically takes the place of ``path`` when the block ends without an error.

    Args:
        writer: see ``part_path``.
        durable: whether the new content must survive a power cut.
        mode: permission bits of the new file; None leaves them to the umask.

    Raises:
        OSError: the file cannot be written; ``path`` is as before.
    """
    part = part_path(path, writer)
    try:
        with open_new(part) as file:
            yield file
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            if durable:
                commit(file, path)
        if not durable:
            part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def replace_file(
    path: Path, content: bytes, *, writer: str = "", durable: bool = False, mode: int | None = None
) -> None:
    """Replace a small file atomically; see ``replacing`` for the arguments.

    Raises:
        OSError: the file cannot be written; it is as before.
    """
    with replacing(path, writer=writer, durable=durable, mode=mode) as file:
        file.write(content)
