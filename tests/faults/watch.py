"""A thread that looks at the share all the time, as its users do: what they see must be whole at every moment."""

from __future__ import annotations

import json
import os
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PAUSE_S = 0.002
_FOLDERS = ("outbox", "failed", "originals")
_REPORT = ".report.json"


@dataclass(frozen=True, slots=True)
class Sight:
    """A file as it was seen first."""

    inode: int
    size: int
    mtime_ns: int


class Watcher:
    """Records every file that appears under a final name, and everything that is wrong about it.

    Attributes:
        seen: files by path below the share, as they were at first sight.
        wrongs: what must not be: a file that changes after it has appeared, a report before its video, an original
            that is retired before its report is there, a record that cannot be read.
    """

    def __init__(self, share: Path) -> None:
        self.seen: dict[str, Sight] = {}
        self.wrongs: list[str] = []
        self._share = share
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watcher")

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        self._look()

    def _run(self) -> None:
        while not self._end.wait(_PAUSE_S):
            self._look()

    def _look(self) -> None:
        # Later steps first: what they need must be there when the earlier ones are looked at.
        originals, reports = self._names("originals"), [*self._names("outbox"), *self._names("failed")]
        for folder in _FOLDERS:
            for path in self._names(folder):
                self._check(path)
        self._check_order(originals, [path for path in reports if path.endswith(_REPORT)])
        self._check_records()

    def _names(self, folder: str) -> list[str]:
        try:
            names = os.listdir(self._share / folder)  # noqa: PTH208 - fast, as this runs all the time
        except OSError:
            return []
        return [f"{folder}/{name}" for name in names if not name.startswith((".", "status."))]

    def _check(self, path: str) -> None:
        try:
            found = (self._share / path).lstat()
        except FileNotFoundError:
            return self._wrong(f"{path} has gone again") if path in self.seen else None
        sight = Sight(found.st_ino, found.st_size, found.st_mtime_ns)
        if self.seen.setdefault(path, sight) != sight:
            self._wrong(f"{path} has changed after it appeared")
        return None

    def _check_order(self, originals: list[str], reports: list[str]) -> None:
        for original in originals:
            if not any(path.startswith("outbox/") and path.endswith(_REPORT) for path in self.seen):
                self._wrong(f"{original} was retired before a report appeared")
        for report in reports:
            video = report.removesuffix(_REPORT) + ".mp4"
            if report.startswith("outbox/") and video not in self.seen:
                self._wrong(f"{report} appeared before {video}")

    def _check_records(self) -> None:
        for pattern in ("jobs/*/job.json", "jobs/*/checkpoint.json", "jobs/*/lease.json"):
            for path in (self._share / ".dualface").glob(pattern):
                with suppress(OSError):
                    self._check_record(path)

    def _check_record(self, path: Path) -> None:
        try:
            json.loads(path.read_bytes())
        except ValueError:
            self._wrong(f"{path.name} cannot be read")

    def _wrong(self, what: str) -> None:
        if what not in self.wrongs:
            self.wrongs.append(what)
