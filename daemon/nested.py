"""Functions for nested dictionaries and lists, as YAML gives them."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Any

ABSENT = object()


def at(values: Any, path: Sequence[str | int]) -> Any:
    """Return the value at ``path``, or ``ABSENT``."""
    for part in path:
        inside = isinstance(values, dict) and part in values
        inside = inside or (isinstance(values, list) and isinstance(part, int) and part < len(values))
        if not inside:
            return ABSENT
        values = values[part]
    return values


def has(values: Any, path: Sequence[str | int]) -> bool:
    """Whether there is a value at ``path``."""
    return at(values, path) is not ABSENT


def merged(below: Any, above: Any) -> Any:
    """Return ``above`` on top of ``below``: dictionaries are merged key by key, other values are replaced."""
    if isinstance(below, dict) and isinstance(above, dict):
        return {**below, **{key: merged(below.get(key), value) for key, value in above.items()}}
    return above


def without(value: Any, paths: Set[tuple[str | int, ...]], path: tuple[str | int, ...] = ()) -> Any:
    """Return the nested values without those at ``paths``."""
    if isinstance(value, dict):
        return {k: without(v, paths, (*path, k)) for k, v in value.items() if (*path, k) not in paths}
    if isinstance(value, list):
        return [without(item, paths, (*path, number)) for number, item in enumerate(value)]
    return value
