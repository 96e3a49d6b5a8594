"""How soon this host sees what happens on the share: by events, and by looking again."""

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

from daemon.diagnostics.measurements.target import Site, wait_until

_EVENT_S = 2.0
_LAG_S = 20.0  # longer than SMB's and FUSE's caches; NFS says its own in the mount options


@dataclass(frozen=True, slots=True)
class Events:
    """inotify. ``refused`` is the error's name where nothing can be watched.

    Attributes:
        own_ms: until a file of this host was reported; None where it was not.
        other_ms: the same for a file that came another way; None also where there is no other way.
        other_way: whether there is one.
    """

    refused: str
    own_ms: float | None
    other_ms: float | None
    other_way: bool

    @classmethod
    def measured(cls, site: Site) -> Self:
        with site.scratch() as folder:
            try:
                with _reports(folder) as seen:
                    own = _reported(seen, folder / "own", folder / "own")
                    other = _reported(seen, _other(site, folder / "other"), folder / "other") if site.through else None
            except OSError as exc:
                return cls(errno.errorcode.get(exc.errno or 0, "EIO"), None, None, site.through is not None)
        return cls("", own, other, site.through is not None)


class _Reports(FileSystemEventHandler):
    """Collects the paths that events were about."""

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
    """How old this host's view is of what came another way. None: longer than could be waited for.

    Attributes:
        other_way: whether there was another way to write through; without one nothing was measured.
        new_s, grown_s, gone_s: until a new name, a new size and a removal were seen.
        longest_s: how long was waited at most.
    """

    other_way: bool
    new_s: float | None = None
    grown_s: float | None = None
    gone_s: float | None = None
    longest_s: float = _LAG_S

    @classmethod
    def measured(cls, site: Site) -> Self:
        if site.through is None:
            return cls(False)
        with site.scratch() as folder:
            here = folder / "file"
            there = _other(site, here)
            return cls(True, _until_new(here, there), _until_grown(here, there), _until_gone(here, there))


def _other(site: Site, path: Path) -> Path:
    """The path on the other way, which sees our new folder a little later, perhaps."""
    there = site.elsewhere(path)
    wait_until(there.parent.exists, _LAG_S)
    return there


def _until_new(here: Path, there: Path) -> float | None:
    list(here.parent.iterdir())  # the listing is cached now, as a scan leaves it
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
