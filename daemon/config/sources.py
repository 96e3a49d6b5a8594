"""Reads the layers of the configuration: files, the environment, the command line.

Errors are collected, not raised: a source with errors still gives its valid values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
import yaml

from daemon.config import catalog
from daemon.nested import at, has

ENV_PREFIX = "DUALFACE__"
SETTINGS, PROVENANCE = "settings", "provenance"  # the two parts of the file of `dualface probe`
_SOFTWARE_FALLBACK = "ENABLE_SOFTWARE_FALLBACK"
_SHORT_NAMES: dict[str, catalog.Path] = {
    "NVENC_MAX_SESSIONS": ("device", "nvenc_max_sessions"),
    "MULTISTREAM_BATCH_SIZE": ("device", "max_batch"),
}
_FALLBACK_VALUES: dict[catalog.Path, dict[bool, Any]] = {
    ("device", "undecodable"): {True: "cpu", False: "fail"},
    ("device", "nvenc_fallback"): {True: True, False: False},
}

log = structlog.get_logger(__name__)


class _Loader(yaml.SafeLoader):
    """Reads YAML with the booleans of YAML 1.2, true and false, so that `events: off` is a string."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^([Tt]rue|TRUE|[Ff]alse|FALSE)$"), list("tTfF"))


@dataclass(frozen=True, slots=True)
class Problem:
    """An error in the configuration.

    Attributes:
        key: the dotted key; "" for the file as a whole.
        what: what is wrong with it.
        remedy: what to do.
        origin: where the key was set.
    """

    key: str
    what: str
    remedy: str
    origin: str

    def __str__(self) -> str:
        where = f" ({self.origin})" if self.origin else ""
        return f"{self.key or 'the configuration'}{where}: {self.what}; {self.remedy}"


@dataclass(slots=True)
class Layer:
    """One source of settings: nested values, the origin of each, and errors."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[catalog.Path, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def has(self, path: catalog.Path) -> bool:
        """Whether this layer has a value at ``path``."""
        return has(self.values, path)

    def origin(self, path: catalog.Path) -> str:
        """Return the origin of the value at ``path``, or of the closest section around it."""
        parents = (path[:length] for length in range(len(path), 0, -1))
        return next((self.origins[part] for part in parents if part in self.origins), "")

    def replaces(self, path: catalog.Path) -> bool:
        """Whether this layer sets the value at ``path``, or a value in place of a section around it."""
        return any(
            path[:length] in self.origins and not isinstance(at(self.values, path[:length]), dict)
            for length in range(1, len(path) + 1)
        )


def read_file(path: Path) -> Layer:
    """Read a YAML file; errors are collected."""
    try:
        return read_text(path.read_text(encoding="utf-8"), path)
    except OSError as error:
        return _unusable(path, f"the file cannot be read: {error.strerror}", "check its path and permissions")
    except UnicodeDecodeError:
        return _unusable(path, "the file is not UTF-8 text", "save it as UTF-8")


def read_text(text: str, path: Path) -> Layer:
    """Read the present or future content of the YAML file ``path``; errors are collected."""
    try:
        return _from_document(yaml.compose(text, Loader=_Loader), path)
    except yaml.YAMLError as error:
        return Layer(problems=[_syntax_problem(error, path)])
    except RecursionError:
        return _unusable(path, "an anchor (&) holds an alias (*) to itself", "write the values out")


def _from_document(node: yaml.Node | None, path: Path) -> Layer:
    if node is None:
        return Layer()
    if not isinstance(node, yaml.MappingNode):
        return _unusable(path, "the file does not hold `key: value` lines", "compare it with the sample")
    return _from_node(node, path)


def read_detected(path: Path, host: str) -> Layer:
    """Read the results of `dualface probe --write`; an empty layer if there are none, or they are of another host."""
    if not path.exists():
        return Layer()
    whole = read_file(path)
    provenance = whole.values.get(PROVENANCE)
    if isinstance(provenance, dict) and provenance.get("host") != host:
        log.warning(
            "auto-detected settings passed over", path=str(path), reason=f"they are those of {provenance.get('host')}"
        )
        return Layer()
    inside = {key[1:]: origin for key, origin in whole.origins.items() if key[0] == SETTINGS and len(key) > 1}
    return Layer(whole.values.get(SETTINGS) or {}, inside, whole.problems)


def read_environment(environment: Mapping[str, str]) -> Layer:
    """Read variables named ``DUALFACE__SECTION__KEY``, whose values are YAML."""
    found, problems = _read_short_names(environment)
    for name in sorted(environment):
        if name.startswith(ENV_PREFIX):
            path = tuple(name.removeprefix(ENV_PREFIX).lower().split("__"))
            try:
                found[path] = (parse_value(environment[name]), _from(name))
            except yaml.YAMLError:
                problems.append(Problem(catalog.dotted(path), "the value is not YAML", "quote it", _from(name)))
    layer = from_paths(found)
    layer.problems += problems
    return layer


def _read_short_names(environment: Mapping[str, str]) -> tuple[dict[catalog.Path, tuple[Any, str]], list[Problem]]:
    """Read the variables that similar programs also use; the long names win over them."""
    found: dict[catalog.Path, tuple[Any, str]] = {}
    problems = []
    for name, path in _SHORT_NAMES.items():
        if text := environment.get(name):
            found[path] = _plain_value(text), _from(name)
    if text := environment.get(_SOFTWARE_FALLBACK):
        value, origin = _plain_value(text), _from(_SOFTWARE_FALLBACK)
        if value in (True, False):  # 1 and 0 are equal to them
            found |= {path: (values[value], origin) for path, values in _FALLBACK_VALUES.items()}
        else:
            first = catalog.dotted(next(iter(_FALLBACK_VALUES)))
            problems.append(Problem(first, f"{value!r} is not allowed", "give 1 or 0", origin))
    return found, problems


def _plain_value(text: str) -> Any:
    """Return the value of a YAML text; the text itself if it is not YAML."""
    try:
        return parse_value(text)
    except yaml.YAMLError:
        return text


def _from(name: str) -> str:
    return f"environment {name}"


def parse_value(text: str) -> Any:
    """Return a value from the environment or the command line: ``20`` is a number, ``[a, b]`` a list.

    Raises:
        yaml.YAMLError: the text is not YAML.
    """
    return load_yaml(text)


def load_yaml(text: str) -> Any:
    """Return the content of a YAML text.

    Raises:
        yaml.YAMLError: the text is not YAML.
    """
    return yaml.load(text, Loader=_Loader)


def _unusable(path: Path, what: str, remedy: str) -> Layer:
    return Layer(problems=[Problem("", what, remedy, str(path))])


def _syntax_problem(error: yaml.YAMLError, path: Path) -> Problem:
    mark = getattr(error, "problem_mark", None)
    where = f"{path}, line {mark.line + 1}" if mark else str(path)
    what = getattr(error, "problem", None) or str(error).splitlines()[0]
    return Problem("", f"this is not YAML ({what})", "correct the indentation, quotes or colon there", where)


def _from_node(root: yaml.MappingNode, path: Path) -> Layer:
    layer = Layer()
    for key, key_node in _keys(root, ()):
        origin = f"{path}, line {key_node.start_mark.line + 1}"
        if key in layer.origins:
            layer.problems.append(Problem(catalog.dotted(key), "it is given twice", "remove one of them", origin))
        layer.origins[key] = origin
    try:
        layer.values = _without_empty(_Loader("").construct_document(root))
    except yaml.YAMLError as error:
        layer.problems.append(_syntax_problem(error, path))
    return layer


def _keys(node: yaml.Node, path: catalog.Path) -> Iterator[tuple[catalog.Path, yaml.Node]]:
    """Yield every key of a document with its node, for duplicates and line numbers."""
    if isinstance(node, yaml.MappingNode):
        for key_node, value in node.value:
            key = (*path, str(key_node.value))
            yield key, key_node
            yield from _keys(value, key)
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield from _keys(item, (*path, number))


def _without_empty(value: Any) -> Any:
    """Return the value without empty keys, since all keys of a section may be commented out."""
    if isinstance(value, dict):
        return {str(key): _without_empty(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_empty(item) for item in value]
    return value


def from_paths(found: Mapping[catalog.Path, tuple[Any, str]]) -> Layer:
    """Return a layer from single keys, each with its value and origin; a section comes before its keys."""
    layer = Layer()
    for path in sorted(found, key=len):
        value, origin = found[path]
        if section := _section(layer.values, path[:-1]):
            section[0][str(path[-1])] = _without_empty(value)
            layer.origins[path] = origin
        else:
            layer.problems.append(
                Problem(catalog.dotted(path), "its section is set to a value elsewhere", "remove one of them", origin)
            )
    return layer


def _section(values: dict[str, Any], path: catalog.Path) -> list[dict[str, Any]]:
    """Return the section at ``path`` in a list, created if it is missing; an empty list if a value is in its place."""
    for part in path:
        values = values.setdefault(str(part), {})
        if not isinstance(values, dict):
            return []
    return [values]
