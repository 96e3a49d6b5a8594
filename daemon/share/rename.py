"""Moves files within one file system: it never overwrites one, and can be repeated after a crash."""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath

from engines.files import sync_directory

_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
_NOT_SUPPORTED = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class FileMark:
    """The identity of a file across a rename: inode, size in bytes, modification time in nanoseconds."""

    inode: int
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> FileMark | None:
        """Return the mark of ``path`` itself, without following links; None if it does not exist."""
        try:
            found = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return cls(found.st_ino, found.st_size, found.st_mtime_ns)


def move_once(source: Path, target: Path, mark: FileMark) -> bool:
    """Move ``source`` to ``target`` durably. A second call after a crash or a lost reply changes nothing.

    Args:
        mark: the mark of ``source`` when the move was planned.

    Returns:
        True if the file is at its target; False if somebody has removed the source.

    Raises:
        FileExistsError: the target's name belongs to another file.
        OSError: the file system refuses, or does not answer.
    """
    if FileMark.of(target) == mark:
        if FileMark.of(source) == mark:  # a link without its unlink: the crash came in between
            source.unlink()
    elif sure_mark(source) is None:
        return False
    else:
        _move(source, target, mark)
    sync_directory(target.parent)
    sync_directory(source.parent)
    return True


def sure_mark(path: Path) -> FileMark | None:
    """Return the mark of ``path`` itself; None only if the file is confirmed missing (see ``has_gone``).

    Raises:
        OSError: its directory is missing; ESTALE if only the first look did not find the file.
    """
    mark = FileMark.of(path)
    if mark is None and not has_gone(path):
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(path))
    return mark


def has_gone(path: Path) -> bool:
    """Whether a directory exists and does not contain the file.

    It looks through the open directory, because everything seems to be missing on a share that is briefly away.

    Raises:
        OSError: the directory is missing.
    """
    with open_folder(path.parent, PurePath()) as folder_fd:
        try:
            os.stat(path.name, dir_fd=folder_fd, follow_symlinks=False)
        except FileNotFoundError:
            return True
    return False


def _move(source: Path, target: Path, mark: FileMark) -> None:
    try:
        move_no_replace(source, target)
    except OSError:
        # A network file system repeats a request whose reply was lost; the second fails although the first succeeded.
        if FileMark.of(target) != mark:
            raise
        source.unlink(missing_ok=True)


def move_no_replace(source: Path, target: Path) -> None:
    """Rename without overwriting, with ``renameat2`` or, on NFS, a hard link.

    Raises:
        FileExistsError: the target exists.
        OSError: the file system refuses, or supports neither.
    """
    try:
        rename_no_replace(source, target)
    except OSError as exc:
        if exc.errno not in _NOT_SUPPORTED:
            raise
        os.link(source, target, follow_symlinks=False)
        source.unlink()


def rename_no_replace(source: Path, target: Path) -> None:
    """Rename without overwriting, with renameat2(2).

    Raises:
        FileExistsError: the target exists.
        OSError: the file system refuses; EINVAL if it does not support this.
    """
    names = os.fsencode(source), os.fsencode(target)
    if _libc.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_NOREPLACE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(source), None, str(target))


@contextmanager
def open_folder(base: Path, relative: PurePath) -> Iterator[int]:
    """Open the folder ``base/relative`` without following a link below ``base``; yields its descriptor.

    Raises:
        OSError: ELOOP or ENOTDIR if a part of the path is a link or a file.
    """
    fd = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in relative.parts:
            deeper = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
            os.close(fd)
            fd = deeper
        yield fd
    finally:
        os.close(fd)


def make_dirs(base: Path, relative: PurePath) -> Path:
    """Create ``base/relative`` durably and return it; ``base`` must exist. Links below it are not followed.

    Raises:
        NotADirectoryError: a part of the path is a link or a file.
    """
    path = base
    for part in relative.parts:
        parent, path = path, path / part
        try:
            path.mkdir()
        except FileExistsError:
            if not stat.S_ISDIR(path.lstat().st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path)) from None
        else:
            sync_directory(parent)
    return path
