"""Messages to systemd: ready, status, stopping, and the watchdog's pings.

Pings are sent only while the service's loop makes progress. The one exception is a loop that waits for the share
inside the kernel: the service is not at fault, and a restart would not help while the mount hangs.
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

_ALIVE_S = 15.0  # a loop that turned within this time is alive
_HUNG_S = 20.0  # a wait for the share that takes longer is logged
_STATUS_EVERY_S = 1.0
_SEND_S = 2.0  # systemd may be slow; losing a message is better than blocking the service


class Systemd:
    """systemd's notification socket; without systemd everything is a no-op."""

    def __init__(self) -> None:
        self._notifier = SystemdNotifier()
        if self._notifier.socket is not None:
            self._notifier.socket.settimeout(_SEND_S)
        self._status = ""
        self._status_at = -math.inf

    def ready(self) -> None:
        """Announce that the service has started, or that a reload has ended."""
        self._notifier.notify("READY=1")

    def reloading(self) -> None:
        """Announce that the configuration is read again; ``ready`` ends it."""
        self._notifier.notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Announce that the service is stopping."""
        self._notifier.notify("STOPPING=1")

    def ping(self) -> None:
        """Reset the watchdog of systemd."""
        self._notifier.notify("WATCHDOG=1")

    def status(self, text: str) -> None:
        """Set the line that ``systemctl status`` shows; it is sent if it has changed, at most once a second."""
        text = printable(text)  # a line break in a file name must not start another message
        now = time.monotonic()
        if text != self._status and now - self._status_at >= _STATUS_EVERY_S:
            self._status, self._status_at = text, now
            self._notifier.notify(f"STATUS={text}")


def watchdog_interval_s() -> float | None:
    """Return the time between two pings, a third of systemd's limit (sd_watchdog_enabled(3)); None without a limit."""
    limit_us = os.environ.get("WATCHDOG_USEC", "")
    pid = os.environ.get("WATCHDOG_PID", str(os.getpid()))
    if not limit_us.isdecimal() or int(limit_us) == 0 or pid != str(os.getpid()):
        return None
    return int(limit_us) / 3e6


class WatchdogThread:
    """Watches the main loop from a thread, and pings systemd while the loop is alive."""

    def __init__(self, systemd: Systemd, interval_s: float | None) -> None:
        self._systemd = systemd
        self._interval_s = interval_s or _ALIVE_S
        self._pings = interval_s is not None
        self._beat = time.monotonic()
        self._on_share = False
        self._hang_logged = False
        self._end = threading.Event()
        self._main = threading.main_thread().native_id

    @contextmanager
    def running(self) -> Iterator[WatchdogThread]:
        """Ping while the context is open."""
        thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._end.set()

    def beat(self) -> None:
        """Note that the loop has turned once more."""
        self._beat = time.monotonic()
        self._hang_logged = False

    @contextmanager
    def share_io(self) -> Iterator[None]:
        """Mark the block as one in which the loop may wait for the share."""
        self._on_share = True
        try:
            yield
        finally:
            self._on_share = False

    def is_alive(self) -> bool:
        """Return whether the loop turns, or waits for nothing but the share."""
        silent_s = time.monotonic() - self._beat
        if silent_s < max(_ALIVE_S, self._interval_s):
            return True
        waits = self._on_share and _sleeps_in_kernel(self._main)
        if waits and silent_s > _HUNG_S:
            self._report_hang(silent_s)
        return waits

    def _run(self) -> None:
        while not self._end.wait(self._interval_s):
            if self.is_alive() and self._pings:
                self._systemd.ping()

    def _report_hang(self, silent_s: float) -> None:
        self._systemd.status(f"The share has not answered for {silent_s:.0f} s; waiting for it")
        if not self._hang_logged:
            self._hang_logged = True
            log.warning("share does not answer", silent_s=round(silent_s))


def _sleeps_in_kernel(thread: int | None) -> bool:
    """Return whether the thread is blocked; a busy loop is a fault of the program and gets no ping."""
    try:
        stat = Path(f"/proc/self/task/{thread}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] in ("D", "S")
