"""What ends the service's sleep: signals, workers' pipes, and inotify where it can be trusted."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import structlog
from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

log = structlog.get_logger(__name__)


class WakeupPipe(FileSystemEventHandler):
    """A descriptor that becomes readable when some thread or signal handler rings it."""

    def __init__(self) -> None:
        self._receiver, self._sender = socket.socketpair()
        self._receiver.setblocking(False)
        self._sender.setblocking(False)

    def fileno(self) -> int:
        return self._receiver.fileno()

    def signal_fd(self) -> int:
        """For ``signal.set_wakeup_fd``."""
        return self._sender.fileno()

    def ring(self) -> None:
        try:
            self._sender.send(b"!")
        except BlockingIOError:
            return  # it is ringing already

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Called by watchdog. What happened does not matter: the scan finds out."""
        if event.event_type not in ("opened", "closed_no_write"):  # our own scan causes these
            self.ring()

    def silence(self) -> bool:
        """Whether it has rung since the last call."""
        rung = False
        try:
            while self._receiver.recv(4096):
                rung = True
        except BlockingIOError:
            return rung
        return rung

    def __enter__(self) -> WakeupPipe:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._receiver.close()
        self._sender.close()


@contextmanager
def watching(folders: list[Path], pipe: WakeupPipe) -> Iterator[bool]:
    """Let inotify ring the alarm while the block runs; True if it does, False where polling must be enough."""
    observer = Observer()
    try:
        for folder in folders:
            observer.schedule(pipe, str(folder), recursive=True)
        observer.start()
    except OSError as exc:
        log.warning(
            "no file-system events, polling only",
            reason=os.strerror(exc.errno or 0),
            remedy="raise fs.inotify.max_user_watches or fs.inotify.max_user_instances",
        )
        yield False
        return
    try:
        yield True
    finally:
        observer.stop()
        observer.join(timeout=5)


class StopRequest:
    """SIGTERM and SIGINT as a flag; a second one means: at once."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.count += 1

    def __bool__(self) -> bool:
        return self.count > 0

    @property
    def at_once(self) -> bool:
        return self.count > 1


class ReloadRequest:
    """SIGHUP as a flag: the configuration has changed."""

    def __init__(self) -> None:
        self._asked = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._asked = True

    def take(self) -> bool:
        """Whether it was asked for since the last call."""
        asked, self._asked = self._asked, False
        return asked


@contextmanager
def signals(pipe: WakeupPipe) -> Iterator[tuple[StopRequest, ReloadRequest]]:
    """Collect signals while the block runs; each also rings the alarm."""
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
