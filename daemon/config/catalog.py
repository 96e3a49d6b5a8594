"""The catalogue of configuration keys: what the settings' models say about each, ready to be shown to people.

It is read from the JSON Schema of the models, so a key that is added there appears in the sample file,
in ``config show`` and in error messages by itself.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

from daemon.config.settings import Settings

Path: TypeAlias = tuple[str | int, ...]
Schema: TypeAlias = dict[str, Any]

ANY = "*"  # stands for a profile's name or an inbox's number

_KINDS = {"integer": "a whole number", "number": "a number", "string": "text", "boolean": "true or false"}


@dataclass(frozen=True, slots=True)
class Key:
    """One key that holds a value.

    ``path`` has ``"*"`` where a name or number is free. ``unit`` is empty where there is none. A ``secret`` value
    holds passwords, and is not shown.
    """

    path: tuple[str, ...]
    description: str
    unit: str
    allowed: str
    default: Any
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """One group of keys, its description and the names of what it holds; ``is_item``: it is repeated in a list."""

    path: tuple[str, ...]
    description: str
    names: tuple[str, ...]
    is_item: bool = False


def json_schema() -> Schema:
    """JSON Schema (draft 2020-12) of the configuration file."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Settings.model_json_schema()}


@cache
def catalogue() -> tuple[Key | Section, ...]:
    """All sections and keys, in the models' order; a section comes before what it holds."""
    schema = json_schema()
    return tuple(_walk(schema, schema["$defs"], ()))


def find(path: Sequence[str | int]) -> Key | Section | None:
    """The entry that a concrete path such as ``("profiles", "fast", "crf")`` belongs to."""
    return next((entry for entry in catalogue() if _fits(entry.path, path)), None)


def dotted(path: Sequence[str | int]) -> str:
    return ".".join(str(part) for part in path)


def suggestion(path: Sequence[str | int]) -> str:
    """What to do about an unknown key: the nearest name, where the name belongs, or all names there are."""
    parent, name = find(path[:-1]), str(path[-1])
    names = parent.names if isinstance(parent, Section) else ()
    if close := difflib.get_close_matches(name, names, n=1):
        return f"did you mean {dotted((*path[:-1], close[0]))}?"
    elsewhere = [entry for entry in catalogue() if entry.path and entry.path[-1] == name]
    if elsewhere:
        return f"it belongs at {_placeholder(elsewhere[0].path)}"
    return f"known here: {', '.join(names)}" if names else "remove it"


def _placeholder(path: tuple[str, ...]) -> str:
    return dotted([part if part != ANY else "NAME" for part in path])


def _fits(template: tuple[str, ...], path: Sequence[str | int]) -> bool:
    return len(template) == len(path) and all(part in (ANY, given) for part, given in zip(template, path, strict=True))


def _walk(schema: Schema, defs: Schema, path: tuple[str, ...], is_item: bool = False) -> Iterator[Key | Section]:
    target = _resolved(schema, defs)
    text = schema.get("description") or target.get("description", "")
    if "properties" in target:
        yield Section(path, text, tuple(target["properties"]), is_item)
        for name, child in target["properties"].items():
            yield from _walk(child, defs, (*path, name))
    elif member := _member(target, defs):
        yield Section(path, text, ())
        yield from _walk(member, defs, (*path, ANY), is_item="items" in target)
    else:
        secret = schema.get("secret", False)
        yield Key(path, text, schema.get("unit", ""), _allowed(target), schema.get("default"), secret)


def _resolved(schema: Schema, defs: Schema) -> Schema:
    reference = schema.get("$ref", "")
    return defs[reference.rsplit("/", 1)[1]] if reference else schema


def _member(schema: Schema, defs: Schema) -> Schema | None:
    """What a free mapping or a list holds, where that is a section of its own."""
    member = schema.get("additionalProperties") or schema.get("items")
    return member if isinstance(member, dict) and "properties" in _resolved(member, defs) else None


def _allowed(schema: Schema) -> str:
    if "anyOf" in schema:
        return " or ".join(_allowed(choice) for choice in schema["anyOf"])
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    if "const" in schema:
        return str(schema["const"])
    if schema.get("type") == "array":
        return "a list"
    if schema.get("format") == "path":
        return "a path"
    return _KINDS.get(schema.get("type", ""), "a value") + _range(schema)


def _range(schema: Schema) -> str:
    words = {
        "minimum": "from",
        "exclusiveMinimum": "above",
        "maximum": "up to",
        "exclusiveMaximum": "below",
        "multipleOf": "in steps of",
    }
    return "".join(f" {word} {_plain(schema[name])}" for name, word in words.items() if name in schema)


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else f"{number:g}"
