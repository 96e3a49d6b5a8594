"""What processes on one machine tell each other about a GPU: every job has a process of its own.

Locks of the kernel (``flock``) say who is alive, so a process that dies gives everything back.
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
_locked_here: dict[Path, int] = {}  # this process's own files: a second lock on one would wait for the first, for ever


def shared_directory() -> Path:
    """Where the locks of this user's processes lie."""
    return Path(tempfile.gettempdir()) / f"dualface-cards-{os.getuid()}"


class Ledger:
    """What each process has promised its jobs of one GPU's memory.

    Args:
        directory: of this GPU, made where it is missing.

    Raises:
        OSError: from every method, where the directory cannot be used.
    """

    def __init__(self, directory: Path) -> None:
        _make(directory)
        self._directory = directory
        self._mine = directory / str(os.getpid())

    @contextmanager
    def deciding(self) -> Iterator[None]:
        """Only one process at a time decides whether what it needs still fits."""
        with _opened(self._directory / _DECIDING) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def promise(self, total_bytes: int) -> None:
        """Say how much this process may come to hold. The first time only while ``deciding``."""
        if self._mine not in _locked_here:
            file = os.open(self._mine, os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(file, fcntl.LOCK_EX)
            _locked_here[self._mine] = file
        os.pwrite(_locked_here[self._mine], b"%0*d" % (_DIGITS, total_bytes), 0)

    def others(self) -> dict[int, int]:
        """The promises of the other living processes in bytes, by process id. Only while ``deciding``."""
        found = {}
        for path in self._directory.iterdir():
            if path.name != _DECIDING and path != self._mine:
                promised = _promised_by_living(path)
                if promised is not None:
                    found[int(path.name)] = promised
        return found


class Slots:
    """So many places that all processes share, each a locked file.

    Args:
        stem: path of the files without their number.
    """

    def __init__(self, stem: Path, count: int) -> None:
        _make(stem.parent)
        self._files = [stem.with_name(f"{stem.name}-{number}") for number in range(count)]

    def take(self) -> Callable[[], None] | None:
        """A free place, as what gives it back; None where all are taken."""
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
    """What a process has promised; None, and the file is removed, where it has died."""
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
