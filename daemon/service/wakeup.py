"""What ends the sleep of the loop: a pipe that signal handlers and inotify write to."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog
from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

log = structlog.get_logger(__name__)


class WakeupPipe(FileSystemEventHandler):
    """A file descriptor that becomes readable when a thread or a signal handler writes to it."""

    def __init__(self) -> None:
        self._receiver, self._sender = socket.socketpair()
        self._receiver.setblocking(False)
        self._sender.setblocking(False)

    def fileno(self) -> int:
        return self._receiver.fileno()

    def signal_fd(self) -> int:
        """Return the descriptor for ``signal.set_wakeup_fd``."""
        return self._sender.fileno()

    def wake(self) -> None:
        """Make the descriptor readable."""
        try:
            self._sender.send(b"!")
        except BlockingIOError:
            return  # the pipe is full, so the loop wakes anyway

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Wake the loop; the scan finds out what has changed. Called by watchdog."""
        if event.event_type not in ("opened", "closed_no_write"):  # the scan itself causes these
            self.wake()

    def clear(self) -> bool:
        """Empty the pipe; return whether somebody has written to it since the last call."""
        woken = False
        try:
            while self._receiver.recv(4096):
                woken = True
        except BlockingIOError:
            return woken
        return woken

    def __enter__(self) -> WakeupPipe:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._receiver.close()
        self._sender.close()


@contextmanager
def watching(folders: list[Path], pipe: WakeupPipe) -> Iterator[bool]:
    """Let inotify wake the loop inside the block; the value is False if inotify does not work."""
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
