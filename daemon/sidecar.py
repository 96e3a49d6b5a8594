"""Sidecars: NAME.dualface.yaml beside NAME.mp4 says what a person wants done differently with this one file."""

from __future__ import annotations

import os
from pathlib import Path

from daemon.naming import printable
from daemon.settings import Settings
from pipeline.corrections import NO_CORRECTIONS, Corrections, CorrectionsError, parse

SUFFIX = ".dualface.yaml"
MOST_BYTES = 65_536


def sidecar_name(source_name: str) -> str:
    """The name that a source's sidecar has, in the same folder."""
    return os.path.splitext(source_name)[0] + SUFFIX  # noqa: PTH122 - Path would drop a trailing dot


def read(path: Path, settings: Settings) -> Corrections:
    """What a sidecar says; nothing to correct where there is none.

    Raises:
        CorrectionsError: with the number of the line that is wrong.
        OSError: it cannot be read.
    """
    if not path.is_file():
        return NO_CORRECTIONS
    with path.open("rb") as f:
        raw = f.read(MOST_BYTES + 1)
    if len(raw) > MOST_BYTES:
        raise CorrectionsError(f"The sidecar {printable(path.name)} is larger than {MOST_BYTES // 1024} KiB.")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = raw[: exc.start].count(b"\n") + 1
        raise CorrectionsError(f"The sidecar {printable(path.name)} is not UTF-8 text, line {line}.") from exc
    return parse(text, settings.profiles)
