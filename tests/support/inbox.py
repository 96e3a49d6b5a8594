"""An inbox with short times and a clock that the test moves."""

from __future__ import annotations

import os
from pathlib import Path

from daemon.config.settings import Settings, SettleSettings
from daemon.inbox.inbox import Inbox


class ManualClock:
    """A clock that stands still until ``now`` is set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def make_inbox(folder: Path, clock: ManualClock, *, path: str = "inbox", priority: int = 0) -> Inbox:
    settings = Settings.model_validate({"inboxes": [{"path": path, "priority": priority}]})
    return Inbox(settings.inboxes[0], folder, settings.scan, SettleSettings(polls=2), quiet_s=5, clock=clock)


def scan(clock: ManualClock, *inboxes: Inbox, times: int = 8) -> None:
    """Scan inboxes ``times`` times, two seconds apart."""
    for _ in range(times):
        for one in inboxes:
            one.advance(10)
        clock.now += 2


def put(folder: Path, name: str, age_s: float, content: bytes = b"x") -> None:
    """Write a file with a modification time ``age_s`` seconds before a fixed time."""
    path = folder / name
    path.write_bytes(content)
    os.utime(path, (1e9 - age_s, 1e9 - age_s))
