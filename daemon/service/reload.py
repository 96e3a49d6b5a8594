"""Reload of the configuration while the service runs."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from daemon.config.live_keys import plan
from daemon.config.settings import Settings
from daemon.errors import ConfigError
from daemon.remedies import log_fields
from daemon.service.signals import ReloadRequest

log = structlog.get_logger(__name__)


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
            log.warning("configuration not taken over", **log_fields(error))
            return [f"the configuration was changed but has mistakes, so the former one is in force: {_short(error)}"]
        self._settings = found.settings
        log.info("configuration taken over", changed=found.taken, after_restart=found.later)
        return [f"after a restart these change, too: {', '.join(found.later)}"] if found.later else []


def _short(error: ConfigError) -> str:
    head, *problems = (line.strip() for line in error.message.splitlines())
    return " ".join([head, "; ".join(problems)]).strip()
