"""SIGTERM, SIGINT and SIGHUP as flags that the loop reads."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from daemon.service.wakeup import WakeupPipe


class StopRequest:
    """A flag that SIGTERM and SIGINT set."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.count += 1

    def __bool__(self) -> bool:
        return self.count > 0

    @property
    def at_once(self) -> bool:
        """Whether a second signal asks to end without waiting for workers."""
        return self.count > 1


class ReloadRequest:
    """A flag that SIGHUP sets: the configuration has changed."""

    def __init__(self) -> None:
        self._requested = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._requested = True

    def take(self) -> bool:
        """Return whether a reload was requested since the last call."""
        requested, self._requested = self._requested, False
        return requested


@contextmanager
def signals(pipe: WakeupPipe) -> Iterator[tuple[StopRequest, ReloadRequest]]:
    """Handle signals inside the block; each signal also wakes the loop."""
    stop, reload = StopRequest(), ReloadRequest()
    handlers: dict[int, Callable[[int, FrameType | None], None]]
    handlers = {signal.SIGTERM: stop, signal.SIGINT: stop, signal.SIGHUP: reload}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    wakeup = signal.set_wakeup_fd(pipe.signal_fd(), warn_on_full_buffer=False)
    try:
        yield stop, reload
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
