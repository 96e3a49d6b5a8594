"""The health of all services of a share, judged from outside.

The last status of a service stays on the share when the service dies. So an old file only shows a former state. For a
service of this machine, the process is checked as well.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from daemon.config.settings import Settings
from daemon.errors import DaemonError
from daemon.layout import HOST_STATUS_SUFFIX, STATUS_JSON
from daemon.pages.i18n import size
from daemon.share.leases import host_name
from daemon.share.reach import check
from daemon.share.share import Share
from daemon.status.model import SILENT, ServiceState, ServiceStatus
from daemon.status.store import SILENT_S, HostReport, merged, read_status_file

_STATUS_SPACE_BYTES = 2**20  # with less free space, services cannot write their status
_START = "Start it: sudo systemctl start dualface. Why it ended: journalctl -u dualface -n 20"


class NoStatusError(DaemonError):
    code = "NO_STATUS"
    remedy = "Start one: sudo systemctl start dualface, or dualface run in the foreground."
    doctor_check = "service"
    environmental = True


@dataclass(frozen=True, slots=True)
class HostHealth:
    """The health of one service.

    Attributes:
        report: the last status; ``report.silent`` if it cannot be valid any more.
        age_s: the age of the status in seconds, by this machine's clock.
        verdict: what is wrong, as sentences; "" if the service is alive.
    """

    report: HostReport
    age_s: float
    verdict: str


@dataclass(frozen=True, slots=True)
class Survey:
    """All services of the share, and their merged status."""

    status: ServiceStatus
    hosts: tuple[HostHealth, ...]

    @property
    def alive(self) -> bool:
        """Whether at least one service runs."""
        return any(host.report.live for host in self.hosts)


def survey(share: Share, settings: Settings) -> Survey:
    """Read and judge the status of all services of the share.

    Raises:
        NoShareError, ShareForbiddenError: the share cannot be read.
        NoStatusError: no service has ever reported.
    """
    check(share)
    hosts = tuple(sorted(_host_healths(share, settings), key=lambda host: host.age_s))
    if not hosts:
        raise NoStatusError(f"No service has reported on the share {share.root} yet.")
    reports = [host.report for host in hosts]
    status = merged(reports[0].status, reports, listed=settings.status.finished_listed)
    if not any(report.live for report in reports):
        stopped = status.state == ServiceState.STOPPED
        status = replace(status, state=ServiceState.STOPPED if stopped else SILENT)
    failed = [job for job in status.failed if not job.report or os.path.lexists(share.root / job.report)]
    return Survey(replace(status, failed=failed, notes=[*status.notes, *_full_disk(share)]), hosts)


def _full_disk(share: Share) -> Iterator[str]:
    """Yield a note if the disk is so full that no service can report it."""
    free = share.free_bytes()
    if free < _STATUS_SPACE_BYTES:
        yield (
            f"The share's disk is full, {size(free)} are free: the services cannot even report, so this may be out of"
            f" date. Free space on {share.root}; work continues by itself."
        )


def _host_healths(share: Share, settings: Settings) -> Iterator[HostHealth]:
    for path in list(share.hosts.glob(f"*{HOST_STATUS_SUFFIX}")) or [share.outbox / STATUS_JSON]:
        status = read_status_file(path)
        with suppress(FileNotFoundError):
            age_s = max(0.0, time.time() - path.stat().st_mtime)
            if status is not None:
                yield _host_health(status, age_s, host_name(settings.leases), share.jobs)


def _host_health(status: ServiceStatus, age_s: float, here: str, jobs: Path) -> HostHealth:
    verdict = _verdict(status, age_s, here)
    report = HostReport(status, silent=bool(verdict) and status.state != ServiceState.STOPPED)
    return HostHealth(report.without_lost(jobs), age_s, verdict)


def _verdict(status: ServiceStatus, age_s: float, here: str) -> str:
    since = datetime.fromtimestamp(time.time() - age_s, UTC).astimezone().strftime("%Y-%m-%d %H:%M")
    if status.state == ServiceState.STOPPED:
        return f"The service on {status.host} was stopped at {since}. {_START}"
    if status.host == here and not _is_alive(status.pid):
        return f"The service on {status.host} is not running: it ended unexpectedly after {since}. {_START}"
    if age_s <= SILENT_S:
        return ""
    if status.host == here:
        return (
            f"The service on {status.host} runs but has not reported since {since}: it hangs, or the share does not "
            "take what it writes. See: journalctl -u dualface -n 20"
        )
    return (
        f"The service on {status.host} has not reported since {since}: its machine or network is down, or it was"
        f" killed. On {status.host}: systemctl status dualface"
    )


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True
