"""Loads the configuration from its layers.

Precedence, key by key, highest first: command line, drop-ins (the last name first), configuration file, environment,
the results of `dualface probe --write`, defaults. All errors are reported in one run: the key, where it was set, what
is wrong, and what is allowed.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from daemon.config import catalog
from daemon.config.precedence import combined
from daemon.config.profiles import BUILT_IN
from daemon.config.retired_keys import without_retired
from daemon.config.settings import Settings
from daemon.config.sources import Layer, Problem, from_paths, read_detected, read_environment, read_file, read_text
from daemon.errors import ConfigError
from daemon.nested import has, without

DEFAULT_PATH = Path("/etc/dualface/config.yaml")
DETECTED_NAME = "auto_detected.yaml"


class InvalidConfigError(ConfigError):
    """The configuration cannot be used; ``problems`` has all errors."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__("\n  ".join([f"{count} in the configuration:", *map(str, problems)]))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings in force, and the origin of each value that is not a default."""

    settings: Settings
    given: Layer
    layers: tuple[Layer, ...] = ()

    def origin(self, path: catalog.Path) -> str:
        """Return where the value at ``path`` was set, or "default"."""
        return self.given.origin(path) if self.given.has(path) else _unset(path)

    def hidden(self, path: catalog.Path) -> list[str]:
        """Return where else the value at ``path`` was set, without effect; the strongest first."""
        origins = [layer.origin(path) for layer in reversed(self.layers) if layer.has(path)]
        return [origin for origin in origins if origin != self.origin(path)]


def _unset(path: catalog.Path) -> str:
    built_in = path[0] == "profiles" and has(BUILT_IN, path[1:])
    return f"built-in profile {path[1]}" if built_in else "default"


def load(path: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Load the settings; see :func:`load_with_origins`."""
    return load_with_origins(path, overrides).settings


def load_with_origins(
    path: Path | None = None, overrides: Mapping[str, Any] | None = None, *, text: str | None = None
) -> Loaded:
    """Load the settings with their origins.

    Args:
        path: YAML file; None means ``/etc/dualface/config.yaml`` if that exists.
        overrides: dotted keys and their values, from the command line.
        text: new content of the file, to be used instead of the present one.

    Raises:
        InvalidConfigError: the configuration has errors; it lists all of them.
    """
    given = (overrides or {}).items()
    layers = (
        read_detected(detected_path(path), socket.gethostname()),
        read_environment(os.environ),
        *_manual(path, text),
        from_paths({tuple(key.split(".")): (value, f"--set {key}") for key, value in given}),
    )
    all_layers = without_retired(combined(layers))
    return Loaded(_validated(all_layers), all_layers, layers)


def _manual(path: Path | None, text: str | None) -> Iterator[Layer]:
    """Yield the layers that people write: the file, then its drop-ins (``config.d/*.yaml`` beside ``config.yaml``)."""
    file = path or DEFAULT_PATH
    if text is not None:
        yield read_text(text, file)
    elif path is not None or file.exists():
        yield read_file(file)
    for drop_in in drop_ins(file):
        yield read_file(drop_in)


def drop_ins(file: Path) -> list[Path]:
    """Return the drop-ins of a configuration file, the strongest last."""
    return sorted(found for found in file.with_suffix(".d").glob("*.yaml") if not found.name.startswith("."))


def detected_path(path: Path | None) -> Path:
    """Return the path of the probe's results: beside the configuration file, whether that exists or not."""
    return (path or DEFAULT_PATH).parent / DETECTED_NAME


def _validated(layer: Layer) -> Settings:
    """Return the settings if they are valid.

    Conflicts between keys appear only if each key is valid by itself. A second validation without the invalid values
    finds them, so that all errors are reported together.
    """
    found: dict[str, Problem] = {}
    values = layer.values
    settings = None
    for _ in range(2):
        try:
            settings = Settings.model_validate(values)
            break
        except ValidationError as error:
            paths = {_key_path(details): details for details in error.errors()}
            for path, details in paths.items():
                found.setdefault(catalog.dotted(path), _explained(path, details, layer))
            values = without(values, set(paths))
    problems = [*layer.problems, *found.values()]
    if problems or settings is None:
        raise InvalidConfigError(problems)
    return settings


def _key_path(details: ErrorDetails) -> catalog.Path:
    """Return the key of an error. pydantic adds parts of its own to the path, such as the branch of a union."""
    loc = details["loc"]
    if details["type"] == "extra_forbidden":
        return loc
    lengths = range(len(loc), 0, -1)
    return next((loc[:length] for length in lengths if catalog.find(loc[:length])), loc)


def _explained(path: catalog.Path, details: ErrorDetails, layer: Layer) -> Problem:
    entry = catalog.find(path)
    kind, value = details["type"], details["input"]
    if kind == "extra_forbidden":
        what, remedy = "there is no such key", catalog.suggestion(path)
    elif kind == "conflict" or entry is None:
        what, remedy = details["msg"], "change one of the two"
    elif isinstance(entry, catalog.KeyGroup):
        what, remedy = f"{value!r} cannot stand here", "put its keys below it, one a line, indented"
    else:
        unit = f" ({entry.unit})" if entry.unit else ""
        reason = f": {details['ctx']['error']}" if kind == "value_error" else ""
        what, remedy = f"{value!r} is not allowed{reason}", f"give {entry.allowed}{unit}"
    return Problem(catalog.dotted(path), what, remedy, layer.origin(path))
