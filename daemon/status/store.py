"""The status files of all services of a share, one file for each host, and their merging into one status.

The age of a file is measured against the newest file on the share. So the clocks of other hosts do not matter.
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
from daemon.status.model import LARGEST_BYTES, SILENT, HostLine, ServiceState, ServiceStatus, severity
from engines.files import replace_file

SILENT_S = 180.0  # a running service writes every minute
_IMPORTANCE = {state: rank for rank, state in enumerate(map(str, ServiceState))}


@dataclass(frozen=True, slots=True)
class HostReport:
    """The last status of one host, and whether the host has been silent for too long since."""

    status: ServiceStatus
    silent: bool

    @property
    def live(self) -> bool:
        """Whether the service runs: it reports, and was not stopped."""
        return not self.silent and self.status.state != ServiceState.STOPPED

    def line(self) -> HostLine:
        """Return the line of this service in the merged status."""
        status = self.status
        running = len(status.running) if self.live else 0
        state = SILENT if self.silent else status.state
        return HostLine(status.host, state, status.reason, status.level, running, status.updated_at)

    def without_lost(self, jobs: Path) -> HostReport:
        """Return the report without jobs that have gone, and without jobs whose lease another host holds.

        The status of a host that is stopped or hangs still lists jobs that another host has taken over.

        Args:
            jobs: the folder of all jobs.
        """
        status = self.status
        named = {row.job for row in status.running} | {row.job for row in status.waiting if row.job}
        held = _held_by(status.host, jobs, named)
        running = [row for row in status.running if row.job in held]
        waiting = [row for row in status.waiting if not row.job or row.job in held]
        return replace(self, status=replace(status, running=running, waiting=waiting))


def _held_by(host: str, jobs: Path, named: set[str]) -> set[str]:
    """Return those of the jobs that the host holds by their leases; an unreadable lease counts as the host's."""
    try:
        found = {leases.job_id_of(folder.name): folder for folder in job_folders(jobs)} if named else {}
    except OSError:
        return named
    held_leases = {job: leases.read(found[job]) for job in named & found.keys()}
    return {job for job, lease in held_leases.items() if lease is None or lease.host == host}


class HostFiles:
    """The status files of all services of the share.

    Args:
        folder: the folder of these files.
        jobs: the folder of all jobs.
    """

    def __init__(self, folder: Path, jobs: Path) -> None:
        self._folder = folder
        self._jobs = jobs

    def write(self, status: ServiceStatus) -> None:
        """Replace the file of the host that the status belongs to.

        Raises:
            OSError: it cannot be written.
        """
        content = json.dumps(asdict(status), indent=1, ensure_ascii=False).encode()
        replace_file(self._path(status.host), content, writer=status.host)

    def read(self, host: str) -> ServiceStatus | None:
        """Return the last status of a host; None if it cannot be read."""
        return read_status_file(self._path(host))

    def others_active(self, host: str) -> bool:
        """Return whether the last status of another host is anything but stopped."""
        statuses = (read_status_file(path) for path in self._folder.glob(f"*{HOST_STATUS_SUFFIX}") if path.stem != host)
        return any(status is not None and status.state != ServiceState.STOPPED for status in statuses)

    def stamps(self) -> dict[str, int]:
        """Return the modification time of each file in nanoseconds. A difference means that a host has written."""
        return dict(self._dated())

    def together(self, own: ServiceStatus, *, listed: int) -> ServiceStatus:
        """Return the merged status of all hosts.

        Args:
            own: the status of this host, which has just been written.
            listed: the greatest number of finished and of failed jobs.
        """
        return merged(own, list(self._reports(own)), listed=listed)

    def _reports(self, own: ServiceStatus) -> Iterator[HostReport]:
        yield HostReport(own, silent=False)
        stamps = self.stamps()
        now_ns = max(stamps.values(), default=0)
        for name, stamp_ns in stamps.items():
            status = read_status_file(self._folder / name)
            if status is not None and status.host != own.host:
                silent = status.state != ServiceState.STOPPED and now_ns - stamp_ns > SILENT_S * 1e9
                yield HostReport(status, silent=silent).without_lost(self._jobs)

    def _dated(self) -> Iterator[tuple[str, int]]:
        for path in self._folder.glob(f"*{HOST_STATUS_SUFFIX}"):
            try:
                yield path.name, path.stat().st_mtime_ns
            except FileNotFoundError:
                continue

    def _path(self, host: str) -> Path:
        return self._folder / f"{host}{HOST_STATUS_SUFFIX}"


def merged(base: ServiceStatus, reports: Sequence[HostReport], *, listed: int) -> ServiceStatus:
    """Merge the statuses of several hosts.

    Args:
        base: gives the fields that cannot be merged: process and time.
        reports: of all hosts.
        listed: the greatest number of finished and of failed jobs.
    """
    reports = sorted(reports, key=lambda report: report.status.host)
    live = [report.status for report in reports if report.live] or [base]
    everybody = [report.status for report in reports]
    foremost = min(live, key=lambda status: _importance(status.state))
    scanning = max(live, key=lambda status: status.queued + status.settling)  # all scan the same inboxes
    return replace(
        base,
        host=", ".join(status.host for status in live),
        state=foremost.state,
        reason=foremost.reason,
        since=foremost.since,
        reason_values=foremost.reason_values,
        queued=scanning.queued,
        settling=scanning.settling,
        queue=scanning.queue,
        arriving=scanning.arriving,
        ignored=scanning.ignored,
        level=max((status.level for status in live), key=severity),
        running=[job for status in live for job in status.running],
        waiting=list({(row.job, row.file): row for status in live for row in status.waiting}.values()),
        finished=sorted((j for s in everybody for j in s.finished), key=lambda j: j.at, reverse=True)[:listed],
        failed=sorted((j for s in everybody for j in s.failed), key=lambda j: j.at, reverse=True)[:listed],
        hosts=[report.line() for report in reports],
        nodes=[node for status in live for node in status.nodes],
        notes=[f"{s.host}: {note}" if len(live) > 1 else note for s in live for note in s.notes],
    )


def read_status_file(path: Path) -> ServiceStatus | None:
    """Return the status in a file; None if it cannot be read."""
    try:
        return ServiceStatus.from_json(read_plain(path, LARGEST_BYTES))
    except (OSError, ValueError, RecursionError):
        return None


def _importance(state: str) -> int:
    return _IMPORTANCE.get(state, len(_IMPORTANCE))
