"""The catalogue of configuration keys, for people: description, unit, range and default of each.

It is derived from the JSON Schema of the models, so that a key that is added to a model appears in the sample file,
in ``config show`` and in error messages.
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
    """One key with a value.

    Attributes:
        path: its parts; ``"*"`` stands for a free name or number.
        unit: empty if it has none.
        allowed: the allowed values, in words.
        secret: whether the value contains passwords and must not be shown.
    """

    path: tuple[str, ...]
    description: str
    unit: str
    allowed: str
    default: Any
    secret: bool = False


@dataclass(frozen=True, slots=True)
class KeyGroup:
    """A section of keys.

    Attributes:
        path: as in ``Key``.
        names: the names of the keys and sections in it.
        is_item: whether it is an item of a list.
    """

    path: tuple[str, ...]
    description: str
    names: tuple[str, ...]
    is_item: bool = False


def json_schema() -> Schema:
    """Return the JSON Schema (draft 2020-12) of the configuration file."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Settings.model_json_schema()}


@cache
def entries() -> tuple[Key | KeyGroup, ...]:
    """Return all sections and keys in the order of the models, a section before its keys."""
    schema = json_schema()
    return tuple(_walk(schema, schema["$defs"], ()))


def find(path: Sequence[str | int]) -> Key | KeyGroup | None:
    """Return the entry of a concrete path such as ``("profiles", "fast", "crf")``; None if there is no such key."""
    return next((entry for entry in entries() if _fits(entry.path, path)), None)


def dotted(path: Sequence[str | int]) -> str:
    """Return a path as people write it: ``profiles.fast.crf``."""
    return ".".join(str(part) for part in path)


def suggestion(path: Sequence[str | int]) -> str:
    """Return a remedy for an unknown key: the most similar name, the right place, or all names of its section."""
    parent, name = find(path[:-1]), str(path[-1])
    names = parent.names if isinstance(parent, KeyGroup) else ()
    if close := difflib.get_close_matches(name, names, n=1):
        return f"did you mean {dotted((*path[:-1], close[0]))}?"
    elsewhere = [entry for entry in entries() if entry.path and entry.path[-1] == name]
    if elsewhere:
        return f"it belongs at {_placeholder(elsewhere[0].path)}"
    return f"known here: {', '.join(names)}" if names else "remove it"


def _placeholder(path: tuple[str, ...]) -> str:
    return dotted([part if part != ANY else "NAME" for part in path])


def _fits(template: tuple[str, ...], path: Sequence[str | int]) -> bool:
    return len(template) == len(path) and all(part in (ANY, given) for part, given in zip(template, path, strict=True))


def _walk(schema: Schema, defs: Schema, path: tuple[str, ...], is_item: bool = False) -> Iterator[Key | KeyGroup]:
    target = _resolved(schema, defs)
    text = schema.get("description") or target.get("description", "")
    if "properties" in target:
        yield KeyGroup(path, text, tuple(target["properties"]), is_item)
        for name, child in target["properties"].items():
            yield from _walk(child, defs, (*path, name))
    elif member := _member(target, defs):
        yield KeyGroup(path, text, ())
        yield from _walk(member, defs, (*path, ANY), is_item="items" in target)
    else:
        secret = schema.get("secret", False)
        yield Key(path, text, schema.get("unit", ""), _allowed(target), schema.get("default"), secret)


def _resolved(schema: Schema, defs: Schema) -> Schema:
    reference = schema.get("$ref", "")
    return defs[reference.rsplit("/", 1)[1]] if reference else schema


def _member(schema: Schema, defs: Schema) -> Schema | None:
    """Return the schema of the items of a mapping or list, if they are sections; else None."""
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
