"""Renders the configuration as text: the commented sample file, and every value in force with its origin."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from daemon.config import catalog
from daemon.config.loader import Loaded
from daemon.config.profiles import BUILT_IN, DESCRIPTIONS

_HEAD = """\
Configuration of dualface. Every key has a safe default, shown here: remove its # to change it.
Check the file with:  dualface config check FILE
See what is in force: dualface config show --origin
Change one value:     dualface config set KEY VALUE --reason TEXT
Precedence, highest first: files in config.d beside this one (the last name first), this file, the environment
(DUALFACE__SHARE__ROOT=/mnt/nas sets share.root), the results of `dualface probe --write`, the defaults.
"""
_WIDTH = 104


@dataclass(frozen=True, slots=True)
class Row:
    """One value in force."""

    key: str
    value: Any
    unit: str
    origin: str
    description: str
    hidden: tuple[str, ...] = ()  # where else it was set, without effect


def rows(loaded: Loaded, within: str = "") -> list[Row]:
    """Return every key with its value, unit, origin and description.

    Args:
        loaded: the configuration.
        within: a section, such as "profiles.fast"; "" returns all, but of built-in profiles only what they set.
    """
    found = (_row(loaded, path, value) for path, value in _leaves(loaded.settings.model_dump(mode="json"), ()))
    if within:
        return [row for row in found if row.key == within or row.key.startswith(f"{within}.")]
    quiet = tuple(f"profiles.{name}." for name in BUILT_IN)
    return [row for row in found if row.origin != "default" or not row.key.startswith(quiet)]


def _row(loaded: Loaded, path: catalog.Path, value: Any) -> Row:
    key = catalog.find(path)
    unit = key.unit if isinstance(key, catalog.Key) else ""
    description = key.description if key else ""
    if isinstance(key, catalog.Key) and key.secret:
        value = [f"{str(each).partition(':')[0]}://..." for each in value]
    return Row(catalog.dotted(path), value, unit, loaded.origin(path), description, tuple(loaded.hidden(path)))


def schema_text() -> str:
    """Return the JSON Schema of the configuration file, as it is checked in."""
    return json.dumps(catalog.json_schema(), indent=2, ensure_ascii=False) + "\n"


def sample_text() -> str:
    """Return the commented sample file, in which every key is commented out."""
    lines = _comment(_HEAD.rstrip(), "")
    for entry in catalog.entries():
        lines += _section(entry) if isinstance(entry, catalog.KeyGroup) else _key(entry)
    return "\n".join(lines) + "\n"


def profile_text(name: str) -> str:
    """Return a built-in profile as a drop-in file, for changes in config.d."""
    body = yaml.safe_dump({"profiles": {name: BUILT_IN[name]}}, sort_keys=False)
    head = f"""\
{DESCRIPTIONS[name]}
This profile is built in and needs no file: name it in an inbox or with --profile.
To change it, copy the file to /etc/dualface/config.d and change the numbers there.
"""
    return "\n".join(_comment(head.rstrip(), "")) + "\n" + body


def _leaves(value: Any, path: catalog.Path) -> Iterator[tuple[catalog.Path, Any]]:
    if isinstance(catalog.find(path), catalog.Key):
        yield path, value
    elif isinstance(value, dict):
        for name, child in value.items():
            yield from _leaves(child, (*path, name))
    elif isinstance(value, list):
        for number, child in enumerate(value):
            yield from _leaves(child, (*path, number))


def _section(section: catalog.KeyGroup) -> list[str]:
    if not section.path or section.is_item:
        return []
    indent, name = _indent(section.path), section.path[-1]
    gap = [""] if len(section.path) == 1 else []
    heading = "default" if name == catalog.ANY else name
    return [*gap, *_comment(section.description, indent), f"{indent}{heading}:"]


def _key(key: catalog.Key) -> list[str]:
    as_json = isinstance(key.default, list | bool) or not key.default
    value = json.dumps(key.default, ensure_ascii=False) if as_json else key.default
    unit = f" [{key.unit}]" if key.unit else ""
    indent, line = _indent(key.path), f"{key.path[-1]}: {value}  # {key.allowed}{unit}"
    comment = _comment(key.description, indent)
    parent = catalog.find(key.path[:-1])
    if isinstance(parent, catalog.KeyGroup) and parent.is_item:
        # A list's item needs one real key: the first carries the dash.
        return [*comment, f"{indent[:-2]}- {line}" if parent.names[0] == key.path[-1] else f"{indent}#{line}"]
    return [*comment, f"{indent}#{line}"]


def _indent(path: tuple[str, ...]) -> str:
    return "  " * (len(path) - 1)


def _comment(text: str, indent: str) -> list[str]:
    lead = f"{indent}# "
    return [
        line
        for part in text.splitlines()
        for line in textwrap.wrap(part, _WIDTH, initial_indent=lead, subsequent_indent=lead, break_on_hyphens=False)
    ]
