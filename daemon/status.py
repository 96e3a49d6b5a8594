"""The service's state for everybody who only has the folder: outbox/status.json and outbox/status.html."""

from __future__ import annotations

import json
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import structlog
from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from daemon.settings import OUTBOX_DIR, StatusSettings
from daemon.settle import Clock

SCHEMA = "dualface.status/1"
JSON_NAME = "status.json"
HTML_NAME = "status.html"
_ALIVE_S = 60.0  # the page is written at least this often, so that a reader can tell that it is stale

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RunningJob:
    """A job that a worker is busy with."""

    job: str
    file: str
    stage: str
    percent: float | None
    fps: float
    eta_s: int | None
    level: str
    attempt: int


@dataclass(frozen=True, slots=True)
class WaitingJob:
    """A claimed job that is not worked on now, and why."""

    job: str
    file: str
    reason: str


@dataclass(frozen=True, slots=True)
class FinishedJob:
    """A delivered job. ``output`` is relative to the share's root, ``link`` relative to the page."""

    job: str
    file: str
    output: str
    link: str
    status: str
    verdict: str
    at: str


@dataclass(frozen=True, slots=True)
class FailedJob:
    """A file that went to failed."""

    job: str
    file: str
    code: str
    message: str
    remedy: str
    at: str


@dataclass(slots=True)
class Board:
    """Everything that the page shows.

    Attributes:
        state: "starting", "idle", "working", "paused", "low_space", "share_away", "stopping" or "stopped".
        reason: the state in words, "" where it needs none.
        queued: settled files that wait in the inboxes; settling: files that are still being copied.
    """

    host: str
    pid: int
    state: str = "starting"
    reason: str = ""
    queued: int = 0
    settling: int = 0
    level: str = "normal"
    running: list[RunningJob] = field(default_factory=list)
    waiting: list[WaitingJob] = field(default_factory=list)
    finished: list[FinishedJob] = field(default_factory=list)
    failed: list[FailedJob] = field(default_factory=list)
    updated_at: str = ""
    schema: str = SCHEMA

    def line(self) -> str:
        """One line for ``systemctl status``."""
        parts = [self.state.replace("_", " ") + (f" ({self.reason})" if self.reason else "")]
        for job in self.running[:3]:
            percent = "" if job.percent is None else f" {job.percent:.0f} %"
            parts.append(f"{job.file} {job.stage}{percent}")
        if len(self.running) > 3:
            parts.append(f"and {len(self.running) - 3} more")
        parts.append(f"queue {self.queued + len(self.waiting)}")
        parts.append(f"level {self.level}")
        return "; ".join(parts)


class History:
    """The latest finished and failed jobs, newest first; survives a restart in status.json itself."""

    def __init__(self, listed: int) -> None:
        self.finished: deque[FinishedJob] = deque(maxlen=listed)
        self.failed: deque[FailedJob] = deque(maxlen=listed)

    def restore(self, root: Path) -> None:
        """Take over what an earlier run has written, as far as it can be read."""
        status = read_status(root) or {}
        try:
            self.finished.extend(FinishedJob(**job) for job in status.get("finished", []))
            self.failed.extend(FailedJob(**job) for job in status.get("failed", []))
        except TypeError:
            log.info("the earlier status page is of another version")


class StatusPage:
    """Writes the two files when something has changed, and not too often."""

    def __init__(self, outbox: Path, settings: StatusSettings, clock: Clock) -> None:
        self._outbox = outbox
        self._interval_s = settings.interval_s
        self._clock = clock
        self._written: dict[str, Any] | None = None
        self._written_at = -_ALIVE_S

    def show(self, board: Board, *, at_once: bool = False) -> None:
        """Write the page if it is time to.

        Raises:
            OSError: the outbox cannot be written.
        """
        age_s = self._clock() - self._written_at
        if age_s < self._interval_s and not at_once:
            return
        board.updated_at = ""
        content = asdict(board)
        if content == self._written and age_s < _ALIVE_S:
            return
        self._write(board)
        self._written, self._written_at = content, self._clock()

    def _write(self, board: Board) -> None:
        board.updated_at = now()
        replace_file(self._outbox / JSON_NAME, json.dumps(asdict(board), indent=1, ensure_ascii=False).encode())
        replace_file(self._outbox / HTML_NAME, _template().render(board=board).encode())


def read_status(root: Path) -> dict[str, Any] | None:
    """What the service last wrote about itself; None where there is nothing to be read.

    ``updated_at`` is at most about a minute old while the service runs and the share answers.
    """
    try:
        status = json.loads((root / OUTBOX_DIR / JSON_NAME).read_bytes())
    except (OSError, ValueError):
        return None
    return status if isinstance(status, dict) and status.get("schema") == SCHEMA else None


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file atomically, not durably: the next update comes anyway."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    part.replace(path)


def now() -> str:
    """Wall-clock time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def link_to(output: str) -> str:
    """A relative link from the page to a file, given its path relative to the share's root."""
    return quote(str(Path(output).relative_to(OUTBOX_DIR)), errors="surrogateescape")


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("daemon"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["duration"] = _duration
    return environment.get_template("status.html.j2")


def _duration(seconds: int) -> str:
    return time.strftime("%H:%M:%S", time.gmtime(seconds)) if seconds < 86400 else f"{seconds / 86400:.1f} days"
