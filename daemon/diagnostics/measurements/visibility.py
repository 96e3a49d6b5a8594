"""Measurements of how soon this host sees changes on the share: by events, and by reading folders again."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from daemon.diagnostics.measurements.target import Target, wait_until

_EVENT_S = 2.0
_LAG_S = 20.0  # longer than the caches of SMB and FUSE; the mount options of NFS contain its cache times


@dataclass(frozen=True, slots=True)
class Events:
    """The events of inotify.

    Attributes:
        refused: the name of the error if folders cannot be watched, else "".
        own_ms: the delay of the event for a file of this host; None if there was no event.
        other_ms: the same for a file that was written through the second path.
        other_way: whether there is a second path.
    """

    refused: str
    own_ms: float | None
    other_ms: float | None
    other_way: bool

    @classmethod
    def measured(cls, target: Target) -> Self:
        with target.scratch() as folder:
            try:
                with _reports(folder) as seen:
                    own = _reported(seen, folder / "own", folder / "own")
                    other = (
                        _reported(seen, _other(target, folder / "other"), folder / "other") if target.through else None
                    )
            except OSError as exc:
                return cls(errno.errorcode.get(exc.errno or 0, "EIO"), None, None, target.through is not None)
        return cls("", own, other, target.through is not None)


class _Reports(FileSystemEventHandler):
    """Collects the paths of new files from events."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._paths: set[str] = set()

    def on_created(self, event: FileSystemEvent) -> None:
        with self._lock:
            self._paths.add(str(event.src_path))

    def __contains__(self, path: Path) -> bool:
        with self._lock:
            return str(path) in self._paths


@contextmanager
def _reports(folder: Path) -> Iterator[_Reports]:
    seen, observer = _Reports(), Observer()
    observer.schedule(seen, str(folder))
    observer.start()
    try:
        yield seen
    finally:
        observer.stop()
        observer.join(timeout=5)


def _reported(seen: _Reports, written: Path, expected: Path) -> float | None:
    begin = time.monotonic()
    written.write_bytes(b"")
    waited_s = wait_until(lambda: expected in seen, _EVENT_S)
    return None if waited_s is None else round((time.monotonic() - begin) * 1e3, 1)


@dataclass(frozen=True, slots=True)
class Lag:
    """The delay until this host sees changes through the second path; None if it was too long to wait for.

    Attributes:
        other_way: whether there is a second path; without one, nothing is measured.
        new_s, grown_s, gone_s: for a new name, a new size and a removal.
        longest_s: the longest wait.
    """

    other_way: bool
    new_s: float | None = None
    grown_s: float | None = None
    gone_s: float | None = None
    longest_s: float = _LAG_S

    @classmethod
    def measured(cls, target: Target) -> Self:
        if target.through is None:
            return cls(False)
        with target.scratch() as folder:
            here = folder / "file"
            there = _other(target, here)
            return cls(True, _until_new(here, there), _until_grown(here, there), _until_gone(here, there))


def _other(target: Target, path: Path) -> Path:
    """Return the file by the second path, after waiting until its new folder is visible there."""
    there = target.elsewhere(path)
    wait_until(there.parent.exists, _LAG_S)
    return there


def _until_new(here: Path, there: Path) -> float | None:
    list(here.parent.iterdir())  # now the list is cached, as after a scan
    there.write_bytes(b"begun")
    return _rounded(wait_until(lambda: here.name in {path.name for path in here.parent.iterdir()}, _LAG_S))


def _until_grown(here: Path, there: Path) -> float | None:
    if not here.exists():
        return None
    here.stat()
    there.write_bytes(b"begun and grown")
    return _rounded(wait_until(lambda: here.stat().st_size > len(b"begun"), _LAG_S))


def _until_gone(here: Path, there: Path) -> float | None:
    there.unlink()
    return _rounded(wait_until(lambda: not here.exists(), _LAG_S))


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 2)
