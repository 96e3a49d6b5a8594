"""Names of delivered files. A name that is taken gets a number; a name that is too long is shortened."""

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
_SUFFIX_BYTES = 40  # of the longest suffix, ".dual-NNNNNNNN.tracks.jsonl.gz"


def composed(name: str) -> str:
    """Return the name in Unicode's composed form (NFC); macOS writes the decomposed one. Bytes outside UTF-8 stay."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def folded(name: str) -> str:
    """Return the same text for all names that differ only in Unicode form or case."""
    return composed(composed(name).casefold())


def existing_form(path: Path) -> Path:
    """Return the path in the Unicode form that exists on disk; unchanged if none exists, or both do."""
    if str(path).isascii() or os.path.lexists(path):
        return path
    parent = existing_form(path.parent)
    with suppress(OSError):
        names = os.listdir(parent)  # noqa: PTH208 - names, which need not be paths
        return parent / next((name for name in names if composed(name) == composed(path.name)), path.name)
    return path


def name_max_bytes(folder: Path) -> int:
    """Return the longest name in a folder, in bytes: ``name_max`` below. A default if there is no such folder."""
    try:
        found = os.pathconf(folder, "PC_NAME_MAX")
    except FileNotFoundError:
        return NAME_MAX_BYTES
    return min(found, NAME_MAX_BYTES) if found > 0 else NAME_MAX_BYTES


def names_in(folder: Path, make_names: Namer, source_name: str) -> NamesFor:
    """Return the function from a number to the names that a source's files would have in a folder."""
    name_max = name_max_bytes(folder)
    return lambda number: make_names(source_name, number, name_max)


def output_names(source_name: str, number: int, name_max: int = NAME_MAX_BYTES) -> dict[str, str]:
    """Return the names of one job's files in the outbox, by kind, in NFC. All have the same number; 1 is left out."""
    stem = short_stem(composed(source_name), name_max)
    mark = OUTPUT_MARK + _dash(number)
    return {kind: stem + mark + suffix for kind, suffix in OUTPUT_SUFFIXES.items()}


def failed_names(source_name: str, number: int, name_max: int = NAME_MAX_BYTES) -> dict[str, str]:
    """Return the names of a failed source, of its sidecar and of its report, by kind."""
    report = f"{short_stem(source_name, name_max)}{_dash(number)}{FAILURE_REPORT_SUFFIX}"
    return {**original_names(source_name, number, name_max), "report": report}


def original_names(source_name: str, number: int, name_max: int = NAME_MAX_BYTES) -> dict[str, str]:
    """Return the names of a retired source and of its sidecar, by kind.

    A source with a very long name has no sidecar, because its name would be too long.
    """
    name = original_name(source_name, number, name_max)
    beside = sidecar_name(name)
    return {"source": name, "sidecar": beside} if len(os.fsencode(beside)) <= name_max else {"source": name}


def original_name(source_name: str, number: int, name_max: int = NAME_MAX_BYTES) -> str:
    """Return a source's own name, from number 2 on with the number before the extension."""
    if number == 1:
        return source_name
    return short_stem(source_name, name_max) + _dash(number) + os.path.splitext(source_name)[1]  # noqa: PTH122 - bytes-safe


def sidecar_name(source_name: str) -> str:
    """Return the name (or path) of a source's sidecar from that of the source."""
    return os.path.splitext(source_name)[0] + SIDECAR_SUFFIX  # noqa: PTH122 - Path would drop a trailing dot


def short_stem(source_name: str, name_max: int = NAME_MAX_BYTES) -> str:
    """Return the name without extension, short enough for every suffix.

    A longer stem is cut at a character boundary; "~" and eight hex digits of the whole stem's SHA-256 keep two long
    names apart.
    """
    stem = os.path.splitext(source_name)[0]  # noqa: PTH122 - Path would drop a trailing dot
    raw = os.fsencode(stem)
    if len(raw) <= name_max - _SUFFIX_BYTES:
        return stem
    cut = raw[: name_max - _SUFFIX_BYTES - 9]
    while cut and (raw[len(cut)] & 0xC0) == 0x80:  # inside a UTF-8 character
        cut = cut[:-1]
    return f"{os.fsdecode(cut)}~{hashlib.sha256(raw).hexdigest()[:8]}"


def first_free(folder: Path, names: NamesFor) -> int:
    """Return the first number for which none of the names exists in the folder."""
    return next(
        number for number in count(1) if not any(os.path.lexists(folder / name) for name in names(number).values())
    )


def valid_text(path: PurePath | str) -> str:
    """Return the name as valid Unicode, for JSON: bytes outside UTF-8 become U+FFFD."""
    return os.fsencode(path).decode("utf-8", "replace")


def printable(path: PurePath | str) -> str:
    """Return the name as one line for logs and terminals; control characters are escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in valid_text(path))


def _dash(number: int) -> str:
    return "" if number == 1 else f"-{number}"
