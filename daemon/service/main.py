"""Start of the service: checks, the parts that live as long as the process, and then the loop."""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from daemon import logs
from daemon.config.settings import Settings
from daemon.diagnostics.checks.startup import recheck_share
from daemon.errors import DaemonError, StateRemovedError
from daemon.executor.choice import executor_of
from daemon.executor.local import LocalExecutor
from daemon.remedies import log_fields
from daemon.service.backend_start import check_backend
from daemon.service.loop import ServiceLoop
from daemon.service.reload import SettingsReloader
from daemon.service.signals import signals
from daemon.service.systemd import Systemd, WatchdogThread, watchdog_interval_s
from daemon.service.telemetry import observing
from daemon.service.wakeup import WakeupPipe, watching
from daemon.share import known_shares
from daemon.share.leases import host_name, only_service_of_host
from daemon.share.share import Share, file_system, is_network
from daemon.status.model import read_status

EXIT_OK = 0
EXIT_ENVIRONMENT = 3

log = structlog.get_logger(__name__)


def run(settings: Settings, reread: Callable[[], Settings]) -> int:
    """Run the service in the foreground until SIGTERM or SIGINT.

    Args:
        reread: reads the configuration again, for SIGHUP.

    Returns:
        The exit code: 0 after an orderly stop, 3 if the share or the backend cannot be used.
    """
    logs.configure(settings.log)
    try:
        _run(settings, reread)
    except DaemonError as exc:
        log.error("service cannot run", **log_fields(exc))  # noqa: TRY400
        return EXIT_ENVIRONMENT
    return EXIT_OK


def _run(settings: Settings, reread: Callable[[], Settings]) -> None:
    systemd = Systemd()
    share = Share(settings)
    known_shares.check_mounted(share)
    _warn_of_lost_state(share)
    identity = share.prepare()
    recheck_share(settings)
    known_shares.record(share, identity)
    watchdog = WatchdogThread(systemd, watchdog_interval_s())
    with (
        only_service_of_host(share.hosts, host_name(settings.leases)),
        WakeupPipe() as wakeup,
        signals(wakeup) as (stop, reload_request),
        selectors.DefaultSelector() as selector,
        watchdog.running(),
        observing(settings) as (collector, listeners),
    ):
        selector.register(wakeup, selectors.EVENT_READ)
        with executor_of(settings, selector, share.state, clock=time.monotonic, on_stats=collector.stats) as executor:
            if isinstance(executor, LocalExecutor):  # the nodes of a cluster have checked themselves
                systemd.status("Checking the backend")
                executor.use_gpus(check_backend(settings, executor, selector, watchdog, stop))
            reloader = SettingsReloader(settings, reload_request, reread)
            loop = ServiceLoop(
                reloader, share, identity, executor, selector, wakeup, stop, systemd, watchdog, listeners
            )
            with _file_events(settings, share, wakeup):
                loop.run()


def _warn_of_lost_state(share: Share) -> None:
    """Log that the service's own folder has gone since a service last reported, and which jobs were in it."""
    last = read_status(share.root) if share.is_state_removed() else None
    if last is not None:
        files = [row.get("file") for row in (*last.get("running", []), *last.get("waiting", []))]
        log.warning(
            "earlier jobs are lost", reason=share.state_removed_message, files=files, remedy=StateRemovedError.remedy
        )


@contextmanager
def _file_events(settings: Settings, share: Share, wakeup: WakeupPipe) -> Iterator[None]:
    """Let inotify wake the loop, except on network file systems, where it does not see other hosts."""
    kind = file_system(share.jobs)
    if settings.scan.events == "off" or is_network(kind):
        log.info("share is polled", file_system=kind, events=False)
        yield
        return
    with watching(list(share.inboxes), wakeup) as works:
        log.info("share is polled", file_system=kind, events=works)
        yield
