"""Several services on one share: each writes what it does under its name, and the page shows them all together.

No clock of another host is trusted: how old a host's file is, is told by the share, which dates all of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from daemon.files import read_plain
from daemon.jobs.job import job_folders
from daemon.layout import HOST_STATUS_SUFFIX
from daemon.share import leases
from daemon.status.model import LARGEST_BYTES, HostLine, ServiceStatus, severity
from engines.files import replace_file

SILENT_S = 180.0  # a service that runs writes every minute
STATES = (  # the most telling first
    "share_split",
    "low_space",
    "paused",
    "working",
    "draining",
    "stopping",
    "starting",
    "idle",
    "drained",
    "share_away",
    "stopped",
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What one host has written last, and whether it has been silent for too long since."""

    board: ServiceStatus
    silent: bool

    @property
    def live(self) -> bool:
        return not self.silent and self.board.state != "stopped"

    def line(self) -> HostLine:
        b = self.board
        running = len(b.running) if self.live else 0
        return HostLine(b.host, "silent" if self.silent else b.state, b.reason, b.level, running, b.updated_at)

    def without_lost(self, jobs: Path) -> Seen:
        """The same without the jobs that the leases below ``jobs`` give to others, or that are no longer there.

        A host that is stopped or stands still does not know that another has taken its jobs over.
        """
        board = self.board
        named = {row.job for row in board.running} | {row.job for row in board.waiting if row.job}
        kept = _held_by(board.host, jobs, named)
        running = [row for row in board.running if row.job in kept]
        waiting = [row for row in board.waiting if not row.job or row.job in kept]
        return replace(self, board=replace(board, running=running, waiting=waiting))


def _held_by(host: str, jobs: Path, named: set[str]) -> set[str]:
    """Which of these jobs a host holds by their leases; what cannot be read says nothing against it."""
    try:
        found = {leases.first_name(folder.name): folder for folder in job_folders(jobs)} if named else {}
    except OSError:
        return named
    told = {job: leases.read(found[job]) for job in named & found.keys()}
    return {job for job, lease in told.items() if lease is None or lease.host == host}


class Hosts:
    """The files of all services of the share.

    Args:
        folder: where they lie.
        jobs: the folder of all jobs.
    """

    def __init__(self, folder: Path, jobs: Path) -> None:
        self._folder = folder
        self._jobs = jobs

    def write(self, board: ServiceStatus) -> None:
        """Replace the file of the board's host.

        Raises:
            OSError: it cannot be written.
        """
        content = json.dumps(asdict(board), indent=1, ensure_ascii=False).encode()
        replace_file(self._path(board.host), content, writer=board.host)

    def read(self, host: str) -> ServiceStatus | None:
        """What a host has written last; None where that cannot be read."""
        return read_status_file(self._path(host))

    def others_active(self, host: str) -> bool:
        """Return whether another host has not said that its service is stopped."""
        statuses = (read_status_file(path) for path in self._folder.glob(f"*{HOST_STATUS_SUFFIX}") if path.stem != host)
        return any(status is not None and status.state != "stopped" for status in statuses)

    def stamps(self) -> dict[str, int]:
        """Modification time of each file, in nanoseconds: other ones mean that there is something new."""
        return dict(self._dated())

    def together(self, own: ServiceStatus, *, listed: int) -> ServiceStatus:
        """The boards of all hosts as one, after the own one has been written."""
        return merged(own, list(self._seen(own)), listed=listed)

    def _seen(self, own: ServiceStatus) -> Iterator[Seen]:
        yield Seen(own, silent=False)
        stamps = self.stamps()
        now_ns = max(stamps.values(), default=0)
        for name, stamp_ns in stamps.items():
            board = read_status_file(self._folder / name)
            if board is not None and board.host != own.host:
                silent = board.state != "stopped" and now_ns - stamp_ns > SILENT_S * 1e9
                yield Seen(board, silent=silent).without_lost(self._jobs)

    def _dated(self) -> Iterator[tuple[str, int]]:
        for path in self._folder.glob(f"*{HOST_STATUS_SUFFIX}"):
            try:
                yield path.name, path.stat().st_mtime_ns
            except FileNotFoundError:
                continue

    def _path(self, host: str) -> Path:
        return self._folder / f"{host}{HOST_STATUS_SUFFIX}"


def merged(base: ServiceStatus, seen: Sequence[Seen], *, listed: int) -> ServiceStatus:
    """The boards of several hosts as one. What only one can say (the process, the time) is that of ``base``."""
    seen = sorted(seen, key=lambda s: s.board.host)
    live = [s.board for s in seen if s.live] or [base]
    everybody = [s.board for s in seen]
    telling = min(live, key=lambda board: _rank(board.state))
    looking = max(live, key=lambda board: board.queued + board.settling)  # all look into the same inboxes
    return replace(
        base,
        host=", ".join(board.host for board in live),
        state=telling.state,
        reason=telling.reason,
        since=telling.since,
        reason_values=telling.reason_values,
        queued=looking.queued,
        settling=looking.settling,
        queue=looking.queue,
        arriving=looking.arriving,
        ignored=looking.ignored,
        level=max((board.level for board in live), key=severity),
        running=[job for board in live for job in board.running],
        waiting=list({(row.job, row.file): row for board in live for row in board.waiting}.values()),
        finished=sorted((j for b in everybody for j in b.finished), key=lambda j: j.at, reverse=True)[:listed],
        failed=sorted((j for b in everybody for j in b.failed), key=lambda j: j.at, reverse=True)[:listed],
        hosts=[s.line() for s in seen],
        notes=[f"{b.host}: {note}" if len(live) > 1 else note for b in live for note in b.notes],
    )


def read_status_file(path: Path) -> ServiceStatus | None:
    """What a service has written; None where that cannot be read."""
    try:
        return ServiceStatus.from_json(read_plain(path, LARGEST_BYTES))
    except (OSError, ValueError, RecursionError):
        return None


def _rank(state: str) -> int:
    return STATES.index(state) if state in STATES else len(STATES)
