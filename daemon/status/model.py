"""What a service tells of itself: what runs, waits, is finished and has failed."""

from __future__ import annotations

import json
import os
from collections import deque
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar, cast
from urllib.parse import quote

from daemon.files import read_json
from daemon.layout import OUTBOX_DIR, STATUS_JSON
from daemon.pages.i18n import clock

SCHEMA = "dualface.status/1"
LARGEST_BYTES = 20_000_000
LEVELS = ("normal", "downscale", "frame_skip", "pause")

Row = TypeVar("Row")


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
    host: str = ""
    level_reason: str = ""
    realtime: float | None = None  # seconds of the recording done in a second, lately
    level_trip: str = ""  # the kind of trouble behind it, a key of degradation.lowest
    device: str = ""  # "cuda:1"; "" where the service works on no GPU
    lacks: str = ""  # what is lacking on the disk while the job waits for that
    since: str = ""  # when it began to wait for the disk or the device

    def line(self) -> str:
        """A few words about it."""
        percent = "" if self.percent is None else f" {self.percent:.0f} %"
        left = "" if self.eta_s is None else f" {clock(self.eta_s)} left"
        return f"{self.file} {self.stage}{percent}{left}{since(self.since)}"


@dataclass(frozen=True, slots=True)
class WaitingJob:
    """What is not worked on now, and why: a claimed job, or a file in an inbox that cannot be claimed (``job`` "").

    ``code`` and ``remedy`` are those of the error, ``since`` is when the wait began, "" where there is none.
    """

    job: str
    file: str
    reason: str
    host: str = ""
    code: str = ""
    remedy: str = ""
    since: str = ""


@dataclass(frozen=True, slots=True)
class QueuedFile:
    """A settled file in an inbox, in the order in which they will be taken."""

    file: str
    profile: str
    bytes: int


@dataclass(frozen=True, slots=True)
class IgnoredFile:
    """Something in an inbox that is not taken; ``reason`` is the name of a ``scanner.Refusal``."""

    file: str
    reason: str


@dataclass(frozen=True, slots=True)
class InboxLine:
    """An inbox of the configuration, relative to the share's root."""

    path: str
    profile: str


@dataclass(frozen=True, slots=True)
class FinishedJob:
    """A delivered job. ``output`` is relative to the share's root, ``link`` relative to the page.

    Attributes:
        links: of the other delivered files by kind ("preview", "report", "html", ...), relative to the page.
        facts: what the verdict says, as numbers (see ``pipeline.report.common.facts``).
    """

    job: str
    file: str
    output: str
    link: str
    status: str
    verdict: str
    at: str
    host: str = ""
    links: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FailedJob:
    """A file that went to failed. ``report`` is relative to the share's root, ``link`` leads there from the page."""

    job: str
    file: str
    code: str
    message: str
    remedy: str
    at: str
    host: str = ""
    report: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class HostLine:
    """One of the services of the share. Its ``state`` is "silent" where it has stopped to write without saying so."""

    host: str
    state: str
    reason: str
    level: str
    running: int
    updated_at: str


@dataclass(slots=True)
class ServiceStatus:
    """Everything that the page shows: of one service, or of all services of the share together.

    Attributes:
        state: "starting", "idle", "working", "paused", "draining", "drained", "low_space", "share_away",
            "share_split", "stopping" or "stopped".
        reason: the state in words, "" where it needs none; reason_values: the numbers and the text in it.
        since: when a state that keeps work from being started began, "" in others.
        hosts: all services, where the board is that of all together.
        queued: settled files that wait in the inboxes; settling: files that are still being copied.
        notes: what operators should know besides, such as a configuration that could not be taken over.
        queue, arriving, ignored: the first of them by name, and what is left alone.
    """

    host: str
    pid: int
    state: str = "starting"
    reason: str = ""
    since: str = ""
    queued: int = 0
    settling: int = 0
    level: str = "normal"
    reason_values: dict[str, Any] = field(default_factory=dict)
    inboxes: list[InboxLine] = field(default_factory=list)
    queue: list[QueuedFile] = field(default_factory=list)
    arriving: list[str] = field(default_factory=list)
    ignored: list[IgnoredFile] = field(default_factory=list)
    running: list[RunningJob] = field(default_factory=list)
    waiting: list[WaitingJob] = field(default_factory=list)
    finished: list[FinishedJob] = field(default_factory=list)
    failed: list[FailedJob] = field(default_factory=list)
    hosts: list[HostLine] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    updated_at: str = ""
    schema: str = SCHEMA

    @classmethod
    def from_json(cls, data: bytes) -> ServiceStatus:
        """Read a board; fields that another version has added are left out.

        Raises:
            ValueError: this is no board.
        """
        body = json.loads(data)
        if not isinstance(body, dict) or body.get("schema") != SCHEMA:
            raise ValueError("no board")
        try:
            for name, kind in _ROWS.items():
                body[name] = [_known(kind, row) for row in body.get(name, [])]
            return _known(cls, body)
        except (TypeError, AttributeError) as exc:
            raise ValueError(f"damaged board: {exc}") from exc

    def line(self) -> str:
        """One line for ``systemctl status``."""
        state = self.state.replace("_", " ") + since(self.since)
        parts = [state + (f" ({self.reason})" if self.reason else "")]
        parts += [job.line() for job in self.running[:3]]
        if len(self.running) > 3:
            parts.append(f"and {len(self.running) - 3} more")
        parts.append(f"queue {self.queued + len(self.waiting)}")
        why = next((job.level_reason for job in self.running if job.level == self.level), "")
        parts.append(f"level {self.level}" + (f" ({why})" if why else ""))
        if failed := sum(job.at > _a_day_ago() for job in self.failed):
            parts.append(f"{failed} failed in the last day")
        return "; ".join([*parts, *self.notes])


_ROWS: dict[str, type[Any]] = {
    "inboxes": InboxLine,
    "queue": QueuedFile,
    "ignored": IgnoredFile,
    "running": RunningJob,
    "waiting": WaitingJob,
    "finished": FinishedJob,
    "failed": FailedJob,
    "hosts": HostLine,
}


def _known(kind: type[Row], body: dict[str, Any]) -> Row:
    names = {f.name for f in fields(cast(Any, kind))}
    return kind(**{name: value for name, value in body.items() if name in names})


class History:
    """The latest finished and failed jobs of this service, newest first; survives a restart in its own board."""

    def __init__(self, listed: int) -> None:
        self.finished: deque[FinishedJob] = deque(maxlen=listed)
        self.failed: deque[FailedJob] = deque(maxlen=listed)

    def restore(self, board: ServiceStatus | None) -> None:
        """Take over what an earlier run has written."""
        if board is not None:
            self.finished.extend(board.finished)
            self.failed.extend(board.failed)


def read_status(root: Path) -> dict[str, Any] | None:
    """What the service last wrote about itself; None where there is nothing to be read.

    ``updated_at`` is at most about a minute old while the service runs and the share answers.
    """
    try:
        status = read_json(root / OUTBOX_DIR / STATUS_JSON, LARGEST_BYTES)
    except (OSError, ValueError):
        return None
    return status if isinstance(status, dict) and status.get("schema") == SCHEMA else None


def severity(level: str) -> int:
    """The rank of a degradation level, 0 for normal."""
    return LEVELS.index(level) if level in LEVELS else 0


def now() -> str:
    """Wall-clock time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def since(at: str) -> str:
    """ " since ..." in this machine's time, "" where ``at`` is no time."""
    try:
        return f" since {datetime.fromisoformat(at).astimezone():%Y-%m-%d %H:%M}"
    except ValueError:
        return ""


def _a_day_ago() -> str:
    return (datetime.now(UTC) - timedelta(days=1)).isoformat(timespec="seconds")


def link_to(path: str) -> str:
    """A relative link from the page to a file, given its path relative to the share's root."""
    return quote(os.path.relpath(path, OUTBOX_DIR), errors="surrogateescape")
