"""Promises of GPU memory and slots that the processes of one machine share: every job has a process of its own.

They are files with ``flock`` locks, which end with their process: one that dies gives everything back.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_DECIDING = "deciding"
_DIGITS = 20
_locked_here: dict[Path, int] = {}  # this process's own files: a second lock on one would wait for the first for ever


def shared_directory() -> Path:
    """Return the directory with the locks of this user's processes."""
    return Path(tempfile.gettempdir()) / f"dualface-cards-{os.getuid()}"


class VramLedger:
    """The memory of one GPU that each process has promised to its jobs.

    Args:
        directory: of this GPU; created if it is missing.

    Raises:
        OSError: from every method, if the directory cannot be used.
    """

    def __init__(self, directory: Path) -> None:
        _make(directory)
        self._directory = directory
        self._mine = directory / str(os.getpid())

    @contextmanager
    def deciding(self) -> Iterator[None]:
        """Let one process at a time decide whether its need still fits."""
        with _opened(self._directory / _DECIDING) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def promise(self, total_bytes: int) -> None:
        """Record how much this process may come to hold. The first call must be within ``deciding``."""
        if self._mine not in _locked_here:
            file = os.open(self._mine, os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(file, fcntl.LOCK_EX)
            _locked_here[self._mine] = file
        os.pwrite(_locked_here[self._mine], b"%0*d" % (_DIGITS, total_bytes), 0)

    def others(self) -> dict[int, int]:
        """Return the promises of the other living processes in bytes, by process id. Call it within ``deciding``."""
        found = {}
        for path in self._directory.iterdir():
            if path.name != _DECIDING and path != self._mine:
                promised = _promised_by_living(path)
                if promised is not None:
                    found[int(path.name)] = promised
        return found


class Slots:
    """A number of slots that all processes share, each a locked file.

    Args:
        stem: path of the files without their number.
    """

    def __init__(self, stem: Path, count: int) -> None:
        _make(stem.parent)
        self._files = [stem.with_name(f"{stem.name}-{number}") for number in range(count)]

    def take(self) -> Callable[[], None] | None:
        """Take a free slot; return the function that frees it, or None if all are taken."""
        for path in self._files:
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            if _locks(file):
                return lambda: os.close(file)
            os.close(file)
        return None


def _make(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield file
    finally:
        os.close(file)


def _promised_by_living(path: Path) -> int | None:
    """Return what a process has promised, or remove the file and return None if it has died."""
    with _opened(path) as file:
        if _locks(file):
            with suppress(FileNotFoundError):
                path.unlink()
            return None
        return int(os.pread(file, _DIGITS, 0) or b"0")


def _locks(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
