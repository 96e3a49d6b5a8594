"""Which keys of the configuration a running service takes over, and which wait for a restart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from daemon.config import catalog
from daemon.config.settings import Settings
from daemon.errors import ConfigError
from daemon.nested import ABSENT, at

# All other keys are fixed while the service runs: folders, locks, devices, sockets.
_LIVE: tuple[tuple[str, ...], ...] = (
    ("share", "low_bytes"),
    ("share", "resume_bytes"),
    ("scan",),
    ("settle",),
    ("workers",),
    ("cluster", "split"),
    ("cluster", "chunk_s"),
    ("cluster", "class_wait_s"),
    ("retry",),
    ("segments",),
    ("degradation",),
    ("limits",),
    ("profiles",),
    ("retention",),
    ("reports",),
    ("status",),
    ("log",),
)
_STARTS_WITH = (("scan", "events"), ("workers", "start_timeout_s"))


@dataclass(frozen=True, slots=True)
class Reload:
    """What a running service takes over of a changed configuration.

    Attributes:
        settings: the settings in force from now on.
        taken: the dotted keys that change now.
        later: the dotted keys that change with the next start.
    """

    settings: Settings
    taken: tuple[str, ...]
    later: tuple[str, ...]


def needs_restart(path: Sequence[str | int]) -> bool:
    """Whether a key is read only when the service starts."""
    return not _within(path, _LIVE) or _within(path, _STARTS_WITH)


def plan(running: Settings, wanted: Settings) -> Reload:
    """Return what a running service takes over.

    Args:
        running: the settings in force.
        wanted: the changed configuration.

    Raises:
        ConfigError: the keys that change now do not fit the keys that change later.
    """
    old, new = running.model_dump(mode="json"), wanted.model_dump(mode="json")
    changed = [path for path in _paths(old, new, ()) if at(old, path) != at(new, path)]
    later = [path for path in changed if needs_restart(path)]
    taken = [path for path in changed if path not in later]
    try:
        settings = Settings.model_validate(_mixed(old, new))
    except ValidationError as error:
        what = "; ".join(f"{catalog.dotted(details['loc'])}: {details['msg']}" for details in error.errors())
        raise ConfigError(
            f"The new configuration holds only together with a restart ({what})",
            remedy="Restart the service: systemctl restart dualface",
        ) from error
    return Reload(settings, tuple(map(catalog.dotted, taken)), tuple(map(catalog.dotted, later)))


def _within(path: Sequence[str | int], sections: Sequence[catalog.Path]) -> bool:
    return any(tuple(path[: len(section)]) == section for section in sections)


def _mixed(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    mixed = {name: dict(value) if isinstance(value, dict) else value for name, value in old.items()}
    for *outer, last in _LIVE:
        at(mixed, outer)[last] = at(new, (*outer, last))
    for section, key in _STARTS_WITH:
        mixed[section] = {**mixed[section], key: old[section][key]}
    return mixed


def _paths(old: Any, new: Any, path: catalog.Path) -> Iterator[catalog.Path]:
    """Yield the paths at which two configurations may differ: keys, and lists as wholes."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in {**old, **new}:
            yield from _paths(old.get(name, ABSENT), new.get(name, ABSENT), (*path, name))
    else:
        yield path
