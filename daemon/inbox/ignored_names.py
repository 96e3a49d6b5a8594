"""Names of files and folders that are not recordings, from the table ``ignored_names.yaml``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase, translate
from functools import cache
from importlib import resources
from typing import Any

import yaml

from daemon.share.naming import folded

_WORD = re.compile(r"\*\.(?P<word>[^.*?\[{]+)(?P<more>\.\{ext\})?")
_EXTENSION, _STAND_IN = "{ext}", "\ue000"  # the second has no meaning in ``translate``


class Kind(StrEnum):
    """What such a file is; the sections of the table."""

    SYSTEM = "system"
    UNFINISHED = "unfinished"
    PLACEHOLDER = "placeholder"
    PROXY = "proxy"
    BUNDLE = "bundle"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        by: the program or device that makes it.
        source: where the name is documented.
        only: "folder" or "file" if the name is ignored only for one of them, else "".
        marks: a file of this name marks the file without the ending as unfinished.
        exact: case matters, since people use the word for their own folders.
    """

    name: str
    kind: Kind
    by: str
    source: str
    only: str = ""
    marks: bool = False
    exact: bool = False

    @property
    def regex(self) -> str:
        """The pattern that folded names are compared with."""
        return translate(folded(self.name).replace(_EXTENSION, _STAND_IN)).replace(_STAND_IN, "[^.]+")


@cache
def table() -> tuple[Row, ...]:
    """Return all lines, in the order of the file."""
    text = resources.files("daemon.inbox").joinpath("ignored_names.yaml").read_text("utf-8")
    parts: dict[str, list[dict[str, Any]]] = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return tuple(_row(Kind(kind), line) for kind, lines in parts.items() for line in lines)


def find(name: str, *, is_folder: bool = False) -> Row | None:
    """Return the line that matches the name of a file or folder; None if it may be a recording."""
    row = _index(is_folder).find(folded(name))
    return None if row and row.exact and row.name != name else row


def is_mark(beside: str, name: str) -> bool:
    """Return whether the presence of a file ``beside`` means that the file ``name`` is unfinished."""
    if not beside.startswith(name) or beside == name:
        return False
    ending = folded(beside[len(name) :])
    return any(fnmatchcase(ending, folded(row.name.removeprefix("*"))) for row in table() if row.marks)


class _Index:
    """An index of the lines, so that a name is compared with few of them: a share may hold 20,000 files."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._names: dict[str, Row] = {}
        self._last: dict[str, Row] = {}  # by the last word after a dot
        self._last_but_one: dict[str, Row] = {}
        others: list[Row] = []
        for row in rows:
            if match := _WORD.fullmatch(folded(row.name)):
                (self._last_but_one if match["more"] else self._last).setdefault(match["word"], row)
            elif any(sign in row.name for sign in "*?[{"):
                others.append(row)
            else:
                self._names.setdefault(folded(row.name), row)
        self._others = others
        self._pattern = re.compile("|".join(f"(?P<_{n}>{row.regex})" for n, row in enumerate(others)), re.DOTALL)

    def find(self, name: str) -> Row | None:
        words = name.rsplit(".", 2)
        row = self._names.get(name) or (self._last.get(words[-1]) if len(words) > 1 else None)
        return row or (self._last_but_one.get(words[1]) if len(words) > 2 else None) or self._by_pattern(name)

    def _by_pattern(self, name: str) -> Row | None:
        match = self._pattern.fullmatch(name)
        return self._others[int(match.lastgroup[1:])] if match and match.lastgroup else None


@cache
def _index(is_folder: bool) -> _Index:
    wrong = "file" if is_folder else "folder"
    return _Index(row for row in table() if row.only != wrong)


def _row(kind: Kind, line: dict[str, Any]) -> Row:
    flags = {name: line.get(name, False) for name in ("marks", "exact")}
    return Row(line["name"], kind, line["by"], line["source"], line.get("is", ""), **flags)
