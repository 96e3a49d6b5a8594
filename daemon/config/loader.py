"""Loads the configuration from layers, of which later ones win key by key.

Safe defaults, what `dualface probe --write` found, the environment, the manual file, its drop-ins in the order of their
names, the command line. Everything that is wrong is reported at once: which key, where it was set, what is wrong,
what is allowed.
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

from daemon.config import catalog as keys
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
    """The configuration cannot be used. ``problems`` holds everything that is wrong with it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__("\n  ".join([f"{count} in the configuration:", *map(str, problems)]))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings in force and where each value that is not a default comes from."""

    settings: Settings
    given: Layer
    layers: tuple[Layer, ...] = ()

    def origin(self, path: keys.Path) -> str:
        """Where the value at ``path`` was set, or "default"."""
        return self.given.origin(path) if self.given.has(path) else _unset(path)

    def hidden(self, path: keys.Path) -> list[str]:
        """Where else the value at ``path`` was set, to no effect: the strongest first."""
        origins = [layer.origin(path) for layer in reversed(self.layers) if layer.has(path)]
        return [origin for origin in origins if origin != self.origin(path)]


def _unset(path: keys.Path) -> str:
    built_in = path[0] == "profiles" and has(BUILT_IN, path[1:])
    return f"built-in profile {path[1]}" if built_in else "default"


def load(path: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Load the settings; see :func:`load_with_origins`."""
    return load_with_origins(path, overrides).settings


def load_with_origins(
    path: Path | None = None, overrides: Mapping[str, Any] | None = None, *, text: str | None = None
) -> Loaded:
    """Load the settings and remember where each came from.

    Args:
        path: YAML file; None takes ``/etc/dualface/config.yaml`` where that exists.
        overrides: dotted keys and their values, from the command line.
        text: what the file is to hold, instead of what it holds now.

    Raises:
        InvalidConfigError: with everything that is wrong.
    """
    given = (overrides or {}).items()
    layers = (
        read_detected(detected_path(path), socket.gethostname()),
        read_environment(os.environ),
        *_manual(path, text),
        from_paths({tuple(key.split(".")): (value, f"--set {key}") for key, value in given}),
    )
    together = without_retired(combined(layers))
    return Loaded(_validated(together), together, layers)


def _manual(path: Path | None, text: str | None) -> Iterator[Layer]:
    """What people have written: the file, then its drop-ins (``config.d/*.yaml`` beside ``config.yaml``)."""
    file = path or DEFAULT_PATH
    if text is not None:
        yield read_text(text, file)
    elif path is not None or file.exists():
        yield read_file(file)
    for drop_in in drop_ins(file):
        yield read_file(drop_in)


def drop_ins(file: Path) -> list[Path]:
    """The drop-ins of a configuration file, the strongest last."""
    return sorted(found for found in file.with_suffix(".d").glob("*.yaml") if not found.name.startswith("."))


def detected_path(path: Path | None) -> Path:
    """Where the settings that the probe found lie: beside the configuration, whether that exists or not."""
    return (path or DEFAULT_PATH).parent / DETECTED_NAME


def _validated(layer: Layer) -> Settings:
    """The settings, where nothing is wrong with them.

    Conflicts between keys show only once each key is valid by itself. So that they are reported together with
    the rest, a second look leaves the invalid values out.
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
                found.setdefault(keys.dotted(path), _explained(path, details, layer))
            values = without(values, set(paths))
    problems = [*layer.problems, *found.values()]
    if problems or settings is None:
        raise InvalidConfigError(problems)
    return settings


def _key_path(details: ErrorDetails) -> keys.Path:
    """The key that an error is about. pydantic adds steps of its own, such as the branch of a union."""
    loc = details["loc"]
    if details["type"] == "extra_forbidden":
        return loc
    lengths = range(len(loc), 0, -1)
    return next((loc[:length] for length in lengths if keys.find(loc[:length])), loc)


def _explained(path: keys.Path, details: ErrorDetails, layer: Layer) -> Problem:
    entry = keys.find(path)
    kind, value = details["type"], details["input"]
    if kind == "extra_forbidden":
        what, remedy = "there is no such key", keys.suggestion(path)
    elif kind == "conflict" or entry is None:
        what, remedy = details["msg"], "change one of the two"
    elif isinstance(entry, keys.Section):
        what, remedy = f"{value!r} cannot stand here", "put its keys below it, one a line, indented"
    else:
        unit = f" ({entry.unit})" if entry.unit else ""
        reason = f": {details['ctx']['error']}" if kind == "value_error" else ""
        what, remedy = f"{value!r} is not allowed{reason}", f"give {entry.allowed}{unit}"
    return Problem(keys.dotted(path), what, remedy, layer.origin(path))
