"""Takes a changed configuration over while the service runs."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from daemon.config.live_keys import plan
from daemon.config.settings import Settings
from daemon.errors import ConfigError
from daemon.service.wakeup import ReloadRequest

log = structlog.get_logger(__name__)


class Reloading:
    """The settings in force, and what SIGHUP makes of them.

    Args:
        request: tells whether somebody asked.
        reread: reads the configuration anew.
    """

    def __init__(self, settings: Settings, request: ReloadRequest, reread: Callable[[], Settings]) -> None:
        self.settings = settings
        self.asked = request.take
        self._reread = reread

    def take(self) -> list[str]:
        """Read the configuration and put in force what can be; returns what operators should know about it."""
        try:
            found = plan(self.settings, self._reread())
        except ConfigError as error:
            log.warning("configuration not taken over", code=error.code, reason=error.message, remedy=error.remedy)
            return [f"the configuration was changed but has mistakes, so the former one is in force: {_short(error)}"]
        self.settings = found.settings
        log.info("configuration taken over", changed=found.taken, after_restart=found.later)
        return [f"after a restart these change, too: {', '.join(found.later)}"] if found.later else []


def _short(error: ConfigError) -> str:
    head, *problems = (line.strip() for line in error.message.splitlines())
    return " ".join([head, "; ".join(problems)]).strip()
