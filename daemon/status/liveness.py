"""How the services of a share stand, judged from outside: what they wrote, and whether they can still be alive.

What a service wrote last stays on the share when it dies. So each file is dated: one that is old tells what was, not
what is. Of a service on this machine it is also known whether its process lives.
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
from daemon.status.model import ServiceStatus
from daemon.status.store import SILENT_S, Seen, merged, read_status_file

_ROOM_TO_REPORT_BYTES = 2**20
_START = "Start it: sudo systemctl start dualface. Why it ended: journalctl -u dualface -n 20"


class NoStatusError(DaemonError):
    code = "NO_STATUS"
    remedy = "Start one: sudo systemctl start dualface, or dualface run in the foreground."
    doctor_check = "service"
    environmental = True


@dataclass(frozen=True, slots=True)
class HostHealth:
    """One service of the share.

    Attributes:
        seen: what it wrote last; silent where that cannot be true any more.
        age_s: seconds since then, by this machine's clock.
        verdict: in words, "" where it is alive.
    """

    seen: Seen
    age_s: float
    verdict: str


@dataclass(frozen=True, slots=True)
class Survey:
    """All services of the share. ``board`` is what they say together; ``alive`` whether one of them runs."""

    board: ServiceStatus
    host_healths: tuple[HostHealth, ...]

    @property
    def alive(self) -> bool:
        return any(host_health.seen.live for host_health in self.host_healths)


def survey(share: Share, settings: Settings) -> Survey:
    """Look at all services of the share.

    Raises:
        NoShareError, ShareForbiddenError: the share cannot be looked at.
        NoStatusError: no service has ever reported.
    """
    check(share)
    host_healths = tuple(sorted(_host_healths(share, settings), key=lambda host_health: host_health.age_s))
    if not host_healths:
        raise NoStatusError(f"No service has reported on the share {share.root} yet.")
    seen = [host_health.seen for host_health in host_healths]
    board = merged(seen[0].board, seen, listed=settings.status.finished_listed)
    if not any(one.live for one in seen):
        board = replace(board, state="stopped" if board.state == "stopped" else "silent")
    failed = [job for job in board.failed if not job.report or os.path.lexists(share.root / job.report)]
    return Survey(replace(board, failed=failed, notes=[*board.notes, *_full_disk(share)]), host_healths)


def _full_disk(share: Share) -> Iterator[str]:
    """What no service can write on a disk that is full to the last byte."""
    free = share.free_bytes()
    if free < _ROOM_TO_REPORT_BYTES:
        yield (
            f"The share's disk is full, {size(free)} are free: the services cannot even report, so this may be out of"
            f" date. Free space on {share.root}; work goes on by itself."
        )


def _host_healths(share: Share, settings: Settings) -> Iterator[HostHealth]:
    for path in list(share.hosts.glob(f"*{HOST_STATUS_SUFFIX}")) or [share.outbox / STATUS_JSON]:
        board = read_status_file(path)
        with suppress(FileNotFoundError):
            age_s = max(0.0, time.time() - path.stat().st_mtime)
            if board is not None:
                yield _host_health(board, age_s, host_name(settings.leases), share.jobs)


def _host_health(board: ServiceStatus, age_s: float, here: str, jobs: Path) -> HostHealth:
    verdict = _verdict(board, age_s, here)
    seen = Seen(board, silent=bool(verdict) and board.state != "stopped")
    return HostHealth(seen.without_lost(jobs), age_s, verdict)


def _verdict(board: ServiceStatus, age_s: float, here: str) -> str:
    since = datetime.fromtimestamp(time.time() - age_s, UTC).astimezone().strftime("%Y-%m-%d %H:%M")
    if board.state == "stopped":
        return f"The service on {board.host} was stopped at {since}. {_START}"
    if board.host == here and not _is_alive(board.pid):
        return f"The service on {board.host} is not running: it ended without a word after {since}. {_START}"
    if age_s <= SILENT_S:
        return ""
    if board.host == here:
        return (
            f"The service on {board.host} runs but has not reported since {since}: it hangs, or the share does not "
            "take what it writes. See: journalctl -u dualface -n 20"
        )
    return (
        f"The service on {board.host} has not reported since {since}: its machine or network is down, or it was killed."
        f" On {board.host}: systemctl status dualface"
    )


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True
