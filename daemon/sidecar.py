"""Sidecars: NAME.dualface.yaml beside NAME.mp4 says what a person wants done differently with this one file."""

from __future__ import annotations

from pathlib import Path

from daemon.plain_files import NO_PLAIN_FILE, read_plain
from daemon.settings import Settings
from pipeline.corrections import Corrections, CorrectionsError, parse

MOST_BYTES = 65_536


def read(path: Path, settings: Settings) -> Corrections:
    """What a sidecar says.

    Raises:
        CorrectionsError: with the number of the line that is wrong.
        OSError: it cannot be read.
    """
    try:
        raw = read_plain(path, MOST_BYTES)
    except OSError as exc:
        if exc.errno not in NO_PLAIN_FILE:
            raise
        raise CorrectionsError(f"The sidecar is no regular file, or larger than {MOST_BYTES // 1024} KiB.") from exc
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = raw[: exc.start].count(b"\n") + 1
        raise CorrectionsError(f"The sidecar is not UTF-8 text, line {line}.") from exc
    return parse(text, settings.profiles)
