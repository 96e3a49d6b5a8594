"""A settled file in an inbox, ready to be claimed."""

from __future__ import annotations

from dataclasses import dataclass

from daemon.config.settings import InboxSettings
from daemon.inbox.scanner import Found


@dataclass(frozen=True, slots=True)
class Candidate:
    """A settled file, with its settled sidecar if it has one, and the further parts of the recording."""

    inbox: InboxSettings
    found: Found
    sidecar: Found | None = None
    parts: tuple[Found, ...] = ()

    @property
    def relative(self) -> str:
        """The path of the recording inside its inbox."""
        return self.found.relative
