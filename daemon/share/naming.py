"""Names under which files are delivered: numbered instead of overwritten, shortened instead of refused."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path, PurePath
from typing import TypeAlias

from daemon.layout import FAILURE_REPORT_SUFFIX, OUTPUT_MARK, OUTPUT_SUFFIXES, SIDECAR_SUFFIX

NamesFor: TypeAlias = Callable[[int], dict[str, str]]
Namer: TypeAlias = Callable[[str, int, int], dict[str, str]]

NAME_MAX_BYTES = 255  # of most file systems; some that encrypt names have less (143 in eCryptfs)
_ROOM_BYTES = 40  # for the longest suffix, ".dual-NNNNNNNN.tracks.jsonl.gz"


def composed(name: str) -> str:
    """The name in Unicode's composed form (NFC); macOS writes the decomposed one. Bytes that are no UTF-8 stay."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def folded(name: str) -> str:
    """What names that differ only in Unicode form or case have in common."""
    return composed(composed(name).casefold())


def existing_form(path: Path) -> Path:
    """The path in the Unicode form in which it is there; as it is where there is none, or both are there."""
    if str(path).isascii() or os.path.lexists(path):
        return path
    parent = existing_form(path.parent)
    with suppress(OSError):
        names = os.listdir(parent)  # noqa: PTH208 - names, which need not be paths
        return parent / next((name for name in names if composed(name) == composed(path.name)), path.name)
    return path


def name_max_bytes(folder: Path) -> int:
    """How long a name in a folder may be: the ``name_max`` of the functions here; for a folder to come, the usual."""
    try:
        found = os.pathconf(folder, "PC_NAME_MAX")
    except FileNotFoundError:
        return NAME_MAX_BYTES
    return min(found, NAME_MAX_BYTES) if found > 0 else NAME_MAX_BYTES


def names_in(folder: Path, make_names: Namer, source_name: str) -> NamesFor:
    """The names that a source's files may get in a folder, by number."""
    name_max = name_max_bytes(folder)
    return lambda number: make_names(source_name, number, name_max)


def output_names(source_name: str, number: int, name_max: int = NAME_MAX_BYTES) -> dict[str, str]:
    """Names of one job's files in the outbox, by kind; all carry the same number (the first has none). They are NFC."""
    stem = short_stem(composed(source_name), name_max)
    mark = OUTPUT_MARK + _dash(number)
    return {kind: stem + mark + suffix for kind, suffix in OUTPUT_SUFFIXES.items()}


def failed_names(source_name: str, number: int, name_max: int = NAME_MAX_BYTES) -> dict[str, str]:
    """Names of a failed source, of its sidecar and of its report."""
    report = f"{short_stem(source_name, name_max)}{_dash(number)}{FAILURE_REPORT_SUFFIX}"
    return {**original_names(source_name, number, name_max), "report": report}


def original_names(source_name: str, number: int, name_max: int = NAME_MAX_BYTES) -> dict[str, str]:
    """Names of a retired source and of its sidecar, which still belong together.

    A source with a very long name has no sidecar: no directory could hold it.
    """
    name = original_name(source_name, number, name_max)
    beside = sidecar_name(name)
    return {"source": name, "sidecar": beside} if len(os.fsencode(beside)) <= name_max else {"source": name}


def original_name(source_name: str, number: int, name_max: int = NAME_MAX_BYTES) -> str:
    """A source's own name; with a number before the extension where that name is taken."""
    if number == 1:
        return source_name
    return short_stem(source_name, name_max) + _dash(number) + os.path.splitext(source_name)[1]  # noqa: PTH122 - bytes-safe


def sidecar_name(source_name: str) -> str:
    """The name that a source's sidecar has, in the same folder; also for a path."""
    return os.path.splitext(source_name)[0] + SIDECAR_SUFFIX  # noqa: PTH122 - Path would drop a trailing dot


def short_stem(source_name: str, name_max: int = NAME_MAX_BYTES) -> str:
    """The name without extension, short enough that every suffix still fits.

    A stem that is too long is cut at a character boundary, and "~" with eight hex digits of the whole stem's
    SHA-256 keeps two long names apart.
    """
    stem = os.path.splitext(source_name)[0]  # noqa: PTH122 - Path would drop a trailing dot
    raw = os.fsencode(stem)
    if len(raw) <= name_max - _ROOM_BYTES:
        return stem
    kept = raw[: name_max - _ROOM_BYTES - 9]
    while kept and (raw[len(kept)] & 0xC0) == 0x80:  # inside a UTF-8 character
        kept = kept[:-1]
    return f"{os.fsdecode(kept)}~{hashlib.sha256(raw).hexdigest()[:8]}"


def first_free(folder: Path, names: NamesFor) -> int:
    """The first number for which none of the names exists in the folder."""
    return next(
        number for number in count(1) if not any(os.path.lexists(folder / name) for name in names(number).values())
    )


def valid_text(path: PurePath | str) -> str:
    """The name as valid Unicode, for JSON: bytes that are no UTF-8 become U+FFFD."""
    return os.fsencode(path).decode("utf-8", "replace")


def printable(path: PurePath | str) -> str:
    """The name as one harmless line, for logs and terminals: control characters are escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in valid_text(path))


def _dash(number: int) -> str:
    return "" if number == 1 else f"-{number}"
