"""Reload of the configuration: which keys change while the service runs, and which need a restart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from pydantic import ValidationError

from daemon.config import catalog as keys
from daemon.config.settings import Settings
from daemon.errors import ConfigError
from daemon.nested import ABSENT, at
from daemon.service.signals import ReloadRequest

# All other keys need a restart: folders, locks, devices and sockets are set up at the start.
_LIVE: tuple[tuple[str, ...], ...] = (
    ("share", "low_bytes"),
    ("share", "resume_bytes"),
    ("scan",),
    ("settle",),
    ("workers",),
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

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ReloadPlan:
    """A configuration that a running service can apply.

    Attributes:
        settings: in force from now on.
        applied: the keys that change now; after_restart: those that change with the next start.
    """

    settings: Settings
    applied: tuple[str, ...]
    after_restart: tuple[str, ...]


def needs_restart(path: Sequence[str | int]) -> bool:
    """Return whether a key is read only when the service starts."""
    return not _within(path, _LIVE) or _within(path, _STARTS_WITH)


def plan(running: Settings, wanted: Settings) -> ReloadPlan:
    """Return the running settings with those changes that can be applied without a restart.

    Raises:
        ConfigError: these changes contradict the settings that need a restart.
    """
    old, new = running.model_dump(mode="json"), wanted.model_dump(mode="json")
    changed = [path for path in _paths(old, new, ()) if at(old, path) != at(new, path)]
    later = [path for path in changed if needs_restart(path)]
    applied = [path for path in changed if path not in later]
    try:
        settings = Settings.model_validate(_mixed(old, new))
    except ValidationError as error:
        what = "; ".join(f"{keys.dotted(details['loc'])}: {details['msg']}" for details in error.errors())
        raise ConfigError(
            f"The new configuration holds only together with a restart ({what})",
            remedy="Restart the service: systemctl restart dualface",
        ) from error
    return ReloadPlan(settings, tuple(map(keys.dotted, applied)), tuple(map(keys.dotted, later)))


class SettingsReloader:
    """The settings in force, which SIGHUP changes.

    Args:
        request: the flag that SIGHUP sets.
        reread: reads the configuration again.
    """

    def __init__(self, settings: Settings, request: ReloadRequest, reread: Callable[[], Settings]) -> None:
        self._settings = settings
        self._request = request
        self._reread = reread

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self._settings

    def requested(self) -> bool:
        """Return whether a reload was requested since the last call."""
        return self._request.take()

    def reload(self) -> list[str]:
        """Read the configuration and put it in force as far as possible.

        Returns:
            What operators should know about it, in sentences for the status page.
        """
        try:
            found = plan(self._settings, self._reread())
        except ConfigError as error:
            log.warning("configuration not taken over", code=error.code, reason=error.message, remedy=error.remedy)
            return [f"the configuration was changed but has mistakes, so the former one is in force: {_short(error)}"]
        self._settings = found.settings
        log.info("configuration taken over", changed=found.applied, after_restart=found.after_restart)
        later = ", ".join(found.after_restart)
        return [f"after a restart these change, too: {later}"] if later else []


def _short(error: ConfigError) -> str:
    head, *problems = (line.strip() for line in error.message.splitlines())
    return " ".join([head, "; ".join(problems)]).strip()


def _within(path: Sequence[str | int], sections: Sequence[keys.Path]) -> bool:
    return any(tuple(path[: len(section)]) == section for section in sections)


def _mixed(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    mixed = {name: dict(value) if isinstance(value, dict) else value for name, value in old.items()}
    for *outer, last in _LIVE:
        at(mixed, outer)[last] = at(new, (*outer, last))
    for section, key in _STARTS_WITH:
        mixed[section] = {**mixed[section], key: old[section][key]}
    return mixed


def _paths(old: Any, new: Any, path: keys.Path) -> Iterator[keys.Path]:
    """Yield the paths at which two configurations may differ; lists count as one value."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in {**old, **new}:
            yield from _paths(old.get(name, ABSENT), new.get(name, ABSENT), (*path, name))
    else:
        yield path
