"""The configuration as text: the commented sample file, and every value in force with its origin."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from daemon.config import catalog as keys
from daemon.config.loader import Loaded
from daemon.config.profiles import BUILT_IN, DESCRIPTIONS

_HEAD = """\
Configuration of dualface. Every key has a safe default, shown here: remove its # to change it.
Check the file with:  dualface config check FILE
See what is in force: dualface config show --origin
Change one value:     dualface config set KEY VALUE --reason TEXT
What wins: files in config.d beside this one (the last name first), this file, the environment
(DUALFACE__SHARE__ROOT=/mnt/nas sets share.root), what `dualface probe --write` found, the defaults.
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
    hidden: tuple[str, ...] = ()  # where else it was set, to no effect


def rows(loaded: Loaded, within: str = "") -> list[Row]:
    """Every key of the settings, or of one section, with its value, unit, origin and description.

    Of the built-in profiles the whole shows only what they set: ``within`` "profiles.fast" shows one in full.
    """
    found = (_row(loaded, path, value) for path, value in _leaves(loaded.settings.model_dump(mode="json"), ()))
    if within:
        return [row for row in found if row.key == within or row.key.startswith(f"{within}.")]
    quiet = tuple(f"profiles.{name}." for name in BUILT_IN)
    return [row for row in found if row.origin != "default" or not row.key.startswith(quiet)]


def _row(loaded: Loaded, path: keys.Path, value: Any) -> Row:
    key = keys.find(path)
    unit = key.unit if isinstance(key, keys.Key) else ""
    description = key.description if key else ""
    if isinstance(key, keys.Key) and key.secret:
        value = [f"{str(each).partition(':')[0]}://..." for each in value]
    return Row(keys.dotted(path), value, unit, loaded.origin(path), description, tuple(loaded.hidden(path)))


def schema_text() -> str:
    """The JSON Schema of the configuration file, as it is checked in."""
    return json.dumps(keys.json_schema(), indent=2, ensure_ascii=False) + "\n"


def sample_text() -> str:
    """The commented sample file. It changes nothing until a # is removed."""
    lines = _comment(_HEAD.rstrip(), "")
    for entry in keys.catalogue():
        lines += _section(entry) if isinstance(entry, keys.Section) else _key(entry)
    return "\n".join(lines) + "\n"


def profile_text(name: str) -> str:
    """A built-in profile as a drop-in file: copied into config.d, its numbers can be changed."""
    body = yaml.safe_dump({"profiles": {name: BUILT_IN[name]}}, sort_keys=False)
    head = f"""\
{DESCRIPTIONS[name]}
The service knows this profile without this file: name it in an inbox or with --profile.
To change it, copy the file to /etc/dualface/config.d and change the numbers there.
"""
    return "\n".join(_comment(head.rstrip(), "")) + "\n" + body


def _leaves(value: Any, path: keys.Path) -> Iterator[tuple[keys.Path, Any]]:
    if isinstance(keys.find(path), keys.Key):
        yield path, value
    elif isinstance(value, dict):
        for name, child in value.items():
            yield from _leaves(child, (*path, name))
    elif isinstance(value, list):
        for number, child in enumerate(value):
            yield from _leaves(child, (*path, number))


def _section(section: keys.Section) -> list[str]:
    if not section.path or section.is_item:
        return []
    indent, name = _indent(section.path), section.path[-1]
    gap = [""] if len(section.path) == 1 else []
    heading = "default" if name == keys.ANY else name
    return [*gap, *_comment(section.description, indent), f"{indent}{heading}:"]


def _key(key: keys.Key) -> list[str]:
    as_json = isinstance(key.default, list | bool) or not key.default
    value = json.dumps(key.default, ensure_ascii=False) if as_json else key.default
    unit = f" [{key.unit}]" if key.unit else ""
    indent, line = _indent(key.path), f"{key.path[-1]}: {value}  # {key.allowed}{unit}"
    comment = _comment(key.description, indent)
    parent = keys.find(key.path[:-1])
    if isinstance(parent, keys.Section) and parent.is_item:
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
