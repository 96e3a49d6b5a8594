"""The status of a service as data: running, waiting, finished and failed jobs, as in ``status.json``."""

from __future__ import annotations

import json
import os
from collections import deque
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar, cast
from urllib.parse import quote

from daemon.files import read_json
from daemon.layout import OUTBOX_DIR, STATUS_JSON
from daemon.pages.i18n import clock
from pipeline.degradation.level_ladder import LADDER, Level

SCHEMA = "dualface.status/1"
LARGEST_BYTES = 20_000_000
Row = TypeVar("Row")


class ServiceState(StrEnum):
    """What a service does, the most important first: the page shows the first one among several services."""

    SHARE_SPLIT = "share_split"
    LOW_SPACE = "low_space"
    PAUSED = "paused"
    WORKING = "working"
    DRAINING = "draining"
    STOPPING = "stopping"
    STARTING = "starting"
    IDLE = "idle"
    DRAINED = "drained"
    SHARE_AWAY = "share_away"
    STOPPED = "stopped"


SILENT = "silent"  # set by other services, for a service that has stopped reporting
HOST_STATES = (*ServiceState, SILENT)


@dataclass(frozen=True, slots=True)
class RunningJob:
    """A job on which a worker is busy."""

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
    realtime: float | None = None  # seconds of the recording done in a second, measured lately
    level_trip: str = ""  # the kind of trigger that caused the level, a key of degradation.lowest
    device: str = ""  # "cuda:1"; "" if the service uses no GPU
    lacks: str = ""  # the missing disk space, while the job waits for it
    since: str = ""  # when the job began to wait for the disk or the device
    node: str = ""  # the host of the cluster on which the job runs; "" without a cluster
    workers: int = 1  # that share the work on the recording

    def line(self) -> str:
        """Return a short description for the journal and ``systemctl status``."""
        percent = "" if self.percent is None else f" {self.percent:.0f} %"
        left = "" if self.eta_s is None else f" {clock(self.eta_s)} left"
        return f"{self.file} {self.stage}{percent}{left}{since(self.since)}"


@dataclass(frozen=True, slots=True)
class WaitingJob:
    """A claimed job without a worker, or a file in an inbox that cannot be claimed (``job`` is "" then).

    Attributes:
        reason: why it waits.
        code, remedy: those of the error behind it, "" if there is none.
        since: when the wait began, "" if that is unknown.
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
    """A settled file in an inbox that waits for its turn."""

    file: str
    profile: str
    bytes: int


@dataclass(frozen=True, slots=True)
class IgnoredFile:
    """An entry of an inbox that is ignored; ``reason`` is the name of a ``scanner.SkipReason``."""

    file: str
    reason: str


@dataclass(frozen=True, slots=True)
class InboxLine:
    """An inbox of the configuration, relative to the share's root."""

    path: str
    profile: str


@dataclass(frozen=True, slots=True)
class FinishedJob:
    """A delivered job.

    Attributes:
        output: path of the video, relative to the share's root.
        link: link from the page to the video.
        links: links to the other delivered files by kind ("preview", "report", "html", ...).
        facts: the numbers behind the verdict (see ``pipeline.report.common.facts``).
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
    """A file in failed.

    Attributes:
        report: path of the report, relative to the share's root.
        link: link from the page to the report.
    """

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
    """One of the services of the share. Its ``state`` is "silent" if it has stopped reporting without being stopped."""

    host: str
    state: str
    reason: str
    level: str
    running: int
    updated_at: str


@dataclass(frozen=True, slots=True)
class NodeLine:
    """A host of the cluster on which this service runs workers.

    Attributes:
        state: "ready"; "other_share" or "other_root" if it cannot be used (see ``executor.protocol.Node``).
        device: in words, such as "cpu".
        compute_classes: of its devices; a job that was interrupted goes on only in its own class.
        workers: jobs and parts that run there now.
        slots: how many may.
    """

    node: str
    state: str
    device: str = ""
    compute_classes: list[str] = field(default_factory=list)
    workers: int = 0
    slots: int = 0


@dataclass(slots=True)
class ServiceStatus:
    """The content of the status page: of one service, or of all services of the share merged.

    Attributes:
        state: a ``ServiceState``; "silent" if no service reports; another text if a newer version wrote it.
        reason: why nothing is started, "" in other states.
        reason_values: the numbers and the person's text in ``reason``.
        since: when a state began that keeps work from being started, "" in other states.
        hosts: all services, if this is the merged status.
        queued: the number of settled files that wait in the inboxes.
        settling: the number of files that are still being copied.
        nodes: the hosts of the cluster; empty without one.
        notes: further messages to operators, such as a configuration that could not be loaded.
        queue, arriving, ignored: the first files that wait, that are being copied, and that are ignored.
    """

    host: str
    pid: int
    state: str = ServiceState.STARTING
    reason: str = ""
    since: str = ""
    queued: int = 0
    settling: int = 0
    level: str = Level.NORMAL
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
    nodes: list[NodeLine] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    updated_at: str = ""
    schema: str = SCHEMA

    @classmethod
    def from_json(cls, data: bytes) -> ServiceStatus:
        """Parse a status; fields that another version has added are dropped.

        Raises:
            ValueError: the data is not a status.
        """
        body = json.loads(data)
        if not isinstance(body, dict) or body.get("schema") != SCHEMA:
            raise ValueError("not a status")
        try:
            for name, kind in _ROWS.items():
                body[name] = [_known(kind, row) for row in body.get(name, [])]
            return _known(cls, body)
        except (TypeError, AttributeError) as exc:
            raise ValueError(f"damaged status: {exc}") from exc

    def line(self) -> str:
        """Return one line for ``systemctl status``."""
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
    "nodes": NodeLine,
}


def _known(kind: type[Row], body: dict[str, Any]) -> Row:
    names = {f.name for f in fields(cast(Any, kind))}
    return kind(**{name: value for name, value in body.items() if name in names})


class History:
    """The latest finished and failed jobs of this service, newest first. They are a part of its status on the share."""

    def __init__(self, listed: int) -> None:
        self.finished: deque[FinishedJob] = deque(maxlen=listed)
        self.failed: deque[FailedJob] = deque(maxlen=listed)

    def restore(self, status: ServiceStatus | None) -> None:
        """Add the jobs of an earlier run of the service."""
        if status is not None:
            self.finished.extend(status.finished)
            self.failed.extend(status.failed)


def read_status(root: Path) -> dict[str, Any] | None:
    """Return the merged status of the share as JSON; None if there is none or it cannot be read.

    ``updated_at`` is at most about a minute old while a service runs and the share answers.
    """
    try:
        status = read_json(root / OUTBOX_DIR / STATUS_JSON, LARGEST_BYTES)
    except (OSError, ValueError):
        return None
    return status if isinstance(status, dict) and status.get("schema") == SCHEMA else None


def severity(level: str) -> int:
    """Return the rank of a degradation level, 0 for normal and for unknown levels."""
    return Level(level).rank if level in LADDER else 0


def since(at: str) -> str:
    """Return " since ..." in local time, "" if ``at`` is not a time."""
    try:
        return f" since {datetime.fromisoformat(at).astimezone():%Y-%m-%d %H:%M}"
    except ValueError:
        return ""


def _a_day_ago() -> str:
    return (datetime.now(UTC) - timedelta(days=1)).isoformat(timespec="seconds")


def link_to(path: str) -> str:
    """Return the link from the page to a file.

    Args:
        path: the file, relative to the share's root.
    """
    return quote(os.path.relpath(path, OUTBOX_DIR), errors="surrogateescape")
