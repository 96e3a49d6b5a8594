"""Writes small files durably, and converts errors of the file system to errors for people."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engines.files import FULL, replace_file
from pipeline.errors import DiskFullError, StorageError


@contextmanager
def storage_errors(what: str) -> Iterator[None]:
    """Convert errors of the operating system to errors for people.

    Args:
        what: the action, as the beginning of the message: "writing checkpoint.json".

    Raises:
        DiskFullError: the file system or the quota is full.
        StorageError: any other failure of the file system.
    """
    try:
        yield
    except OSError as exc:
        reason = f"{what} failed: {exc.strerror or exc}"
        raise (DiskFullError if exc.errno in FULL else StorageError)(reason) from exc


def write_durably(path: Path, data: bytes) -> None:
    """Replace a small file atomically and durably.

    Raises:
        DiskFullError, StorageError: see ``storage_errors``.
    """
    with storage_errors(f"writing {path.name}"):
        replace_file(path, data, durable=True)
