"""Files that can be made again, each with its checksum beside it: whatever is read is what was written."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path


def is_intact(path: Path) -> bool:
    """Whether there is such a file, and it is what was written."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == _checksum_path(path).read_text().strip()
    except (OSError, UnicodeDecodeError):
        return False


def read(path: Path) -> bytes | None:
    """The file's content, or None where there is none or it is not what was written."""
    return path.read_bytes() if is_intact(path) else None


def write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; its folder is made where it is missing.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _write_atomically(_checksum_path(path), hashlib.sha256(content).hexdigest().encode() + b"\n")
    _write_atomically(path, content)


def _checksum_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _write_atomically(path: Path, content: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
