"""Reads control files: small text files that people put on the share with any text editor."""

from __future__ import annotations

import codecs
import os
from pathlib import Path

_MOST_BYTES = 500
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def find(folder: Path, name: str) -> list[Path]:
    """Return all entries of this name in any case, with or without ".txt", which desktops add and hide."""
    wanted = (name.casefold(), f"{name.casefold()}.txt")
    with os.scandir(folder) as entries:
        return sorted(Path(entry.path) for entry in entries if entry.name.casefold() in wanted)


def read(path: Path) -> str | None:
    """Return a control file's text on one line; "" if it is empty or unreadable, None if there is no such entry."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return "" if os.path.lexists(path) else None
    try:
        return " ".join(_decoded(os.read(fd, _MOST_BYTES)).split())
    except OSError:
        return ""
    finally:
        os.close(fd)


def _decoded(raw: bytes) -> str:
    """Decode text of Windows, macOS or Linux: UTF-8, UTF-16, or the code page of an older Korean Windows."""
    for mark, encoding in _MARKS:
        if raw.startswith(mark):
            return raw.decode(encoding, "ignore")
    try:
        # The last character may have been cut off at the limit.
        return codecs.getincrementaldecoder("utf-8")().decode(raw)
    except UnicodeDecodeError:
        return raw.decode("cp949", "replace")
