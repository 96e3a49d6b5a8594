"""Files that can be made again, each with its checksum beside it: whatever is read is what was written."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

from engines.files import replace_file


def is_intact(path: Path) -> bool:
    """Whether there is such a file, and it is what was written."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == _checksum(path)
    except (OSError, UnicodeDecodeError):
        return False


def read(path: Path) -> bytes | None:
    """The file's content, or None where there is none or it is not what was written."""
    try:
        content = path.read_bytes()
        return content if hashlib.sha256(content).hexdigest() == _checksum(path) else None
    except (OSError, UnicodeDecodeError):
        return None


def write(path: Path, content: bytes) -> None:
    """Write a file and its checksum; its folder is made where it is missing.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(_checksum_path(path), hashlib.sha256(content).hexdigest().encode() + b"\n")
    write_whole(path, content)


def _checksum(path: Path) -> str:
    return _checksum_path(path).read_text().strip()


def _checksum_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def write_whole(path: Path, content: bytes) -> None:
    """Write a file for this user alone, completely or not at all; other processes may write the same file meanwhile.

    Raises:
        OSError: it cannot be written.
    """
    writer = f"{os.getpid()}-{secrets.token_hex(4)}"
    replace_file(path, content, writer=writer, durable=True, mode=0o600)
