"""Which host is the cluster's head: a lease on the share, like that of a job.

Of several hosts that want to be the head exactly one is; when it stops renewing, a standby renames the lease's folder
and takes over. A former head that wakes up finds its folder gone and ends.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import structlog

from daemon.clock import Clock
from daemon.config.settings import Settings
from daemon.errors import LeaseLostError
from daemon.layout import HEAD_DIR
from daemon.share import leases
from daemon.share.leases import Lease, LeaseWatch
from engines.errors import ExplainedError

log = structlog.get_logger(__name__)


class HeadLease:
    """The right to be the head.

    Args:
        state: the services' folder on the share.
        clock: monotonic seconds.
    """

    def __init__(self, settings: Settings, state: Path, clock: Clock) -> None:
        self._state = state
        self._renew_s = settings.leases.renew_s
        self._watch = LeaseWatch(expire_s=settings.leases.expire_s, clock=clock)
        self._lease = Lease.mine(settings.leases)
        self._folder: Path | None = None
        self._ending = threading.Event()

    def try_once(self) -> bool:
        """Become the head if there is none, or if it has stood still for ``leases.expire_s``; return whether we are."""
        folder = self._present()
        if folder is None:
            folder = self._state / HEAD_DIR
            try:
                folder.mkdir()
            except FileExistsError:
                return False
        elif not self._is_free(folder):
            return False
        else:
            taken = leases.take_over(folder)
            if taken is None:
                return False
            folder = taken
        leases.write(folder, self._lease)
        self._folder = folder
        return True

    @property
    def holder(self) -> Lease | None:
        """The lease of the present head; None if it cannot be read."""
        folder = self._present()
        return leases.read(folder) if folder else None

    def keep(self, on_lost: Callable[[], None]) -> None:
        """Renew the lease in a thread until ``release``; call ``on_lost`` once another host has taken it."""
        threading.Thread(target=self._renew, args=[on_lost], name="head lease", daemon=True).start()

    def release(self) -> None:
        """Stop renewing, and let a standby take over at once."""
        self._ending.set()
        if self._folder is not None:
            with suppress(OSError, ExplainedError):
                leases.confirm(self._folder, self._lease)
                shutil.rmtree(self._folder)

    def _present(self) -> Path | None:
        found = [path for path in self._state.glob(f"{HEAD_DIR}*") if leases.job_id_of(path.name) == HEAD_DIR]
        return max(found, key=leases.generation, default=None)

    def _is_free(self, folder: Path) -> bool:
        lease = leases.read(folder)
        return (lease is not None and self._is_of_former_run(lease)) or self._watch.expired(folder.name, lease)

    def _is_of_former_run(self, lease: Lease) -> bool:
        """Whether a process of this machine held it, and has certainly ended."""
        here = (lease.host, lease.boot_id) == (self._lease.host, self._lease.boot_id)
        return here and not Path(f"/proc/{lease.pid}").exists()

    def _renew(self, on_lost: Callable[[], None]) -> None:
        while self._folder is not None and not self._ending.wait(self._renew_s):
            self._lease = self._lease.renewed()
            try:
                leases.renew(self._folder, self._lease)
            except LeaseLostError:
                log.error("another host is the head now")  # noqa: TRY400
                on_lost()
                return
            except ExplainedError as error:
                log.warning("the head's lease is not renewed", reason=error.message)
