"""Sidecars: NAME.dualface.yaml beside NAME.mp4 holds the corrections for this one file."""

from __future__ import annotations

from pathlib import Path

from daemon.config.settings import Settings
from daemon.files import NO_PLAIN_FILE, read_plain
from daemon.layout import SIDECAR_SUFFIX
from daemon.share.naming import printable
from pipeline.corrections import Corrections, CorrectionsError, parse

MOST_BYTES = 65_536
_NO_TEXT = {
    b"{\\rtf": "rich text",
    b"PK\x03\x04": "a document of an office program",
    b"%PDF": "a PDF",
    b"bplist": "a web archive",
}


def read(path: Path, settings: Settings, name: str = "") -> Corrections:
    """Read a sidecar.

    Args:
        name: its name for messages, if that is not ``path``'s name.

    Raises:
        CorrectionsError: it has a mistake; the message names the line.
        OSError: it cannot be read.
    """
    name = name or path.name
    try:
        raw = read_plain(path, MOST_BYTES)
    except OSError as exc:
        if exc.errno not in NO_PLAIN_FILE:
            raise
        raise CorrectionsError(f"The sidecar is no regular file, or larger than {MOST_BYTES // 1024} KiB.") from exc
    if kind := next((kind for magic, kind in _NO_TEXT.items() if raw.startswith(magic)), None):
        raise no_text(f"{name} is {kind}, line 1")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = raw[: exc.start].count(b"\n") + 1
        raise CorrectionsError(f"The sidecar is not UTF-8 text, line {line}.") from exc
    return parse(text, settings.profiles)


def no_text(what: str) -> CorrectionsError:
    """Return the error for a sidecar that is no plain text file; ``what`` has the form "NAME is KIND"."""
    return CorrectionsError(
        f"The sidecar {printable(what)}.",
        remedy=f"Put a plain text file called NAME{SIDECAR_SUFFIX} in its place and drop the recording again.",
    )
