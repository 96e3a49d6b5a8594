"""Cached files with a checksum beside each, so that a damaged file is never used."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

from engines.files import replace_file


def is_intact(path: Path) -> bool:
    """Return whether the file exists and matches its checksum."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == _checksum(path)
    except (OSError, UnicodeDecodeError):
        return False


def read(path: Path) -> bytes | None:
    """Return the file's content, or None if it is missing or does not match its checksum."""
    try:
        content = path.read_bytes()
        return content if hashlib.sha256(content).hexdigest() == _checksum(path) else None
    except (OSError, UnicodeDecodeError):
        return None


def write(path: Path, content: bytes) -> None:
    """Write a file and its checksum; create its folder if needed.

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
