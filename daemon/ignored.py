"""Names that are some tool's business and nobody's recording: the table ``ignored_names.yaml``, and what it says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase, translate
from functools import cache
from importlib import resources
from typing import Any

import yaml

from daemon.naming import folded

_EXTENSION, _STAND_IN = "{ext}", "\ue000"  # the second means nothing to ``translate``


class Kind(StrEnum):
    """What such a name stands for; the parts of the table."""

    SYSTEM = "system"
    UNFINISHED = "unfinished"
    PLACEHOLDER = "placeholder"
    PROXY = "proxy"
    BUNDLE = "bundle"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        only: "folder" or "file" where the name counts only for one of them, else "".
        marks: a file of this name says that the one without the ending is unfinished.
        exact: only as it is written here, since people use the word for folders of their own.
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
        return translate(folded(self.name).replace(_EXTENSION, _STAND_IN)).replace(_STAND_IN, "[^.]+")


@cache
def table() -> tuple[Row, ...]:
    """All lines, in the order of the file."""
    text = resources.files("daemon").joinpath("ignored_names.yaml").read_text("utf-8")
    parts: dict[str, list[dict[str, Any]]] = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return tuple(_row(Kind(kind), line) for kind, lines in parts.items() for line in lines)


def find(name: str, *, is_folder: bool = False) -> Row | None:
    """The line that a file's or folder's name falls under, None where it may be a recording."""
    match = _matcher(is_folder).fullmatch(folded(name))
    row = table()[int((match.lastgroup or "_0")[1:])] if match else None
    return None if row and row.exact and row.name != name else row


def is_mark(beside: str, name: str) -> bool:
    """Whether a file called ``beside`` says, by lying there, that the file ``name`` is not finished."""
    if not beside.startswith(name) or beside == name:
        return False
    ending = folded(beside[len(name) :])
    return any(fnmatchcase(ending, folded(row.name.removeprefix("*"))) for row in table() if row.marks)


@cache
def _matcher(is_folder: bool) -> re.Pattern[str]:
    """One expression for all lines; the last group that matched is the line's."""
    wrong = "file" if is_folder else "folder"
    lines = (f"(?P<_{n}>{row.regex})" for n, row in enumerate(table()) if row.only != wrong)
    return re.compile("|".join(lines), re.DOTALL)


def _row(kind: Kind, line: dict[str, Any]) -> Row:
    flags = {name: line.get(name, False) for name in ("marks", "exact")}
    return Row(line["name"], kind, line["by"], line["source"], line.get("is", ""), **flags)
