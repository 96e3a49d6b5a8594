"""What systemd is told: ready, status, stopping, and the watchdog's pings.

Pings come from observed progress of the service's loop only. One exception is meant: while the loop waits for the
share inside the kernel, nothing is wrong with the service. A hung mount must degrade it, not restart it for ever.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog
from sdnotify import SystemdNotifier

from daemon.share.naming import printable

log = structlog.get_logger(__name__)

_FRESH_S = 15.0  # a loop that turned within this time is alive
_HUNG_S = 20.0  # from then on a wait for the share is worth a word
_STATUS_EVERY_S = 1.0
_SEND_S = 2.0  # systemd may be slow to listen; better a message is lost than the service held up


class Notifier:
    """systemd's notification socket; without systemd everything is a no-op."""

    def __init__(self) -> None:
        self._systemd = SystemdNotifier()
        if self._systemd.socket is not None:
            self._systemd.socket.settimeout(_SEND_S)
        self._status = ""
        self._status_at = -math.inf

    def ready(self) -> None:
        self._systemd.notify("READY=1")

    def reloading(self) -> None:
        """The configuration is read again; ``ready`` ends it."""
        self._systemd.notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        self._systemd.notify("STOPPING=1")

    def ping(self) -> None:
        self._systemd.notify("WATCHDOG=1")

    def status(self, text: str) -> None:
        """Set the line that ``systemctl status`` shows; sent only when it changes, once a second at most."""
        text = printable(text)  # a file name with a line break must not smuggle in another message
        now = time.monotonic()
        if text != self._status and now - self._status_at >= _STATUS_EVERY_S:
            self._status, self._status_at = text, now
            self._systemd.notify(f"STATUS={text}")


def watchdog_interval_s() -> float | None:
    """Time between two pings, a third of what systemd allows; None where it wants none (sd_watchdog_enabled(3))."""
    limit_us = os.environ.get("WATCHDOG_USEC", "")
    pid = os.environ.get("WATCHDOG_PID", str(os.getpid()))
    if not limit_us.isdecimal() or int(limit_us) == 0 or pid != str(os.getpid()):
        return None
    return int(limit_us) / 3e6


class WatchdogThread:
    """Watches the main loop from a thread of its own and pings systemd while the loop lives."""

    def __init__(self, notifier: Notifier, interval_s: float | None) -> None:
        self._notifier = notifier
        self._interval_s = interval_s or _FRESH_S
        self._pings = interval_s is not None
        self._beat = time.monotonic()
        self._on_share = False
        self._told = False
        self._end = threading.Event()
        self._main = threading.main_thread().native_id

    @contextmanager
    def running(self) -> Iterator[WatchdogThread]:
        thread = threading.Thread(target=self._run, name="pulse", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._end.set()

    def beat(self) -> None:
        """The loop has turned once more."""
        self._beat = time.monotonic()
        self._told = False

    @contextmanager
    def share_io(self) -> Iterator[None]:
        """Mark a stretch in which the loop may wait for the share."""
        self._on_share = True
        try:
            yield
        finally:
            self._on_share = False

    def is_alive(self) -> bool:
        """Whether the loop turns, or is held up by the share alone."""
        silent_s = time.monotonic() - self._beat
        if silent_s < max(_FRESH_S, self._interval_s):
            return True
        waits = self._on_share and _sleeps_in_kernel(self._main)
        if waits and silent_s > _HUNG_S:
            self._tell(silent_s)
        return waits

    def _run(self) -> None:
        while not self._end.wait(self._interval_s):
            if self.is_alive() and self._pings:
                self._notifier.ping()

    def _tell(self, silent_s: float) -> None:
        self._notifier.status(f"The share has not answered for {silent_s:.0f} s; waiting for it")
        if not self._told:
            self._told = True
            log.warning("share does not answer", silent_s=round(silent_s))


def _sleeps_in_kernel(thread: int | None) -> bool:
    """Whether the thread is blocked, not running: a busy loop is a fault of ours and earns no ping."""
    try:
        stat = Path(f"/proc/self/task/{thread}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] in ("D", "S")
