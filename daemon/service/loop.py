"""The service's loop: scan, listen to workers, move jobs on, start jobs, and publish the status.

The loop sleeps at one place only. Media is opened in worker processes, never here.
"""

from __future__ import annotations

import selectors
import time
from collections.abc import Sequence
from typing import Any

import structlog

from daemon import logs
from daemon.config.settings import Settings
from daemon.diagnostics.checks.startup import torn
from daemon.errors import ShareAwayError
from daemon.executor.crews import Crews
from daemon.executor.protocol import Executor
from daemon.inbox.inbox import inboxes
from daemon.inbox.intake import Intake
from daemon.jobs.class_waits import ClassWaits
from daemon.jobs.held_jobs import HeldJobs
from daemon.jobs.segment_cache import SegmentCache
from daemon.jobs.start_conditions import BlockReason, StartConditions
from daemon.observability.events import EventBus, Listener
from daemon.service.claimer import Claimer
from daemon.service.dispatcher import Dispatcher
from daemon.service.failed_folder import FailedFolder
from daemon.service.history import HistoryRecorder
from daemon.service.job_overview import COMPARISON, JobOverview
from daemon.service.lifecycle import JobLifecycle
from daemon.service.part_comparison import PartComparison
from daemon.service.reload import SettingsReloader
from daemon.service.retention import Retention
from daemon.service.signals import StopRequest
from daemon.service.status_publisher import StatusPublisher
from daemon.service.systemd import Systemd, WatchdogThread
from daemon.service.wakeup import WakeupPipe
from daemon.share.leases import host_name
from daemon.share.share import Share, ShareIdentity, file_system, settle_s
from daemon.status.model import History, ServiceState
from daemon.status.store import HostFiles

_SCAN_SLICE_S = 0.25
_TICK_S = 1.0  # the longest sleep: leases, the status page and the watchdog must be served
_SHORTEST_SLEEP_S = 0.01  # however fast events come in

log = structlog.get_logger(__name__)


class ServiceLoop:
    """The running service, after all checks of the start."""

    def __init__(
        self,
        reloader: SettingsReloader,
        share: Share,
        identity: ShareIdentity,
        executor: Executor,
        selector: selectors.BaseSelector,
        wakeup: WakeupPipe,
        stop: StopRequest,
        systemd: Systemd,
        watchdog: WatchdogThread,
        listeners: Sequence[Listener],
    ) -> None:
        clock = time.monotonic
        settings = reloader.settings
        host = host_name(settings.leases)
        hosts = HostFiles(share.hosts, share.jobs)
        self._file_system = file_system(share.jobs)
        quiet_s = settle_s(self._file_system, settings.settle)
        history = History(settings.status.finished_listed)
        history.restore(hosts.read(host))
        events = EventBus(HistoryRecorder(history, host), *listeners)
        self._reloader = reloader
        self._share = share
        self._executor = executor
        self._selector = selector
        self._wakeup = wakeup
        self._stop = stop
        self._systemd = systemd
        self._watchdog = watchdog
        self._inbox_error = ""
        self._cache = SegmentCache(share, settings.retention, clock)
        self._conditions = StartConditions(
            share, identity, self._cache, settings, clock, lambda: torn(self._reloader.settings)
        )
        self._intake = Intake(inboxes(settings, quiet_s, clock))
        self._held_jobs = HeldJobs(settings, share, clock, others_active=lambda: hosts.others_active(host))
        jobs = JobOverview(self._held_jobs, executor)
        self._crews = Crews(executor)
        self._lifecycle = JobLifecycle(
            settings, share, self._held_jobs, executor, self._crews, self._cache, events, settle_s=quiet_s, clock=clock
        )
        claimer = Claimer(
            settings, share, self._intake, clock, lease=lambda: self._held_jobs.lease, accept=self._lifecycle.accept
        )
        self._class_waits = ClassWaits(settings, clock)
        self._dispatcher = Dispatcher(
            jobs,
            executor,
            self._class_waits,
            start=self._lifecycle.start_attempt,
            claim=claimer.claim_next,
            ready=lambda: self._intake.ready,
        )
        self._comparison = PartComparison(settings, share, self._intake, executor, clock)
        self._publisher = StatusPublisher(
            settings,
            share,
            jobs,
            self._intake,
            history,
            systemd,
            events,
            clock,
            slots=lambda: executor.slots,
            workers=self._crews.size,
        )
        self._retention = Retention(share.originals, settings.retention, clock)
        self._failed_folder = FailedFolder(
            share.root, share.failed, history, interval_s=settings.scan.max_interval_s, clock=clock
        )

    def run(self) -> None:
        """Work until a stop is requested.

        Raises:
            ShareReplacedError: another share lies at the root now; the service must start again with it.
        """
        log.info("service started", root=str(self._share.root), slots=self._executor.slots)
        self._systemd.ready()
        try:
            while not self._stop:
                self._turn()
                time.sleep(_SHORTEST_SLEEP_S)
                self._selector.select(self._sleep_s())
        finally:
            self._shut_down()

    def _turn(self) -> None:
        self._watchdog.beat()
        if self._wakeup.clear():
            self._intake.wake()
        if self._reloader.requested():
            self._reload()
        with self._watchdog.share_io():
            self._listen()
            condition = self._conditions.refresh()
            if condition.block_reason is not BlockReason.SHARE_AWAY:
                self._work(condition.block_reason)
            self._publisher.show(self._conditions.now)

    def _listen(self) -> None:
        """Take in the messages of workers, and the ends of their attempts. Needs no share."""
        for worker, outcome in self._executor.poll():
            if worker == COMPARISON:
                self._comparison.finish(outcome)
            elif not self._crews.end(worker, outcome):
                self._lifecycle.end_attempt(worker, outcome)

    def _work(self, block_reason: BlockReason) -> None:
        may_claim = block_reason is BlockReason.NONE
        try:
            self._scan()
            self._lifecycle.advance()
            if may_claim:
                self._comparison.start_next()
            self._dispatcher.start_jobs(
                may_start=may_claim or block_reason is BlockReason.DRAINING,
                may_claim=may_claim,
                may_resume=block_reason is BlockReason.LOW_SPACE,
            )
            if may_claim and self._dispatcher.lacks_place(may_claim=may_claim):
                self._crews.give_way()
            self._crews.staff()
            self._retention.advance()
            self._failed_folder.advance()
            self._cache.sweep()
        except (ShareAwayError, OSError) as exc:
            self._conditions.report_away(exc)

    def _scan(self) -> None:
        try:
            self._intake.advance(_SCAN_SLICE_S)
        except OSError as exc:
            self._share.identity()  # raises if the whole share has gone
            self._log_inbox_error(exc)
        else:
            self._inbox_error = ""

    def _log_inbox_error(self, error: OSError) -> None:
        """Log that an inbox was removed or may not be read, while the share itself is there."""
        if str(error) != self._inbox_error:
            self._inbox_error = str(error)
            log.warning("inbox cannot be read", reason=self._inbox_error)

    def _reload(self) -> None:
        """Apply a changed configuration as far as possible; one with mistakes changes nothing."""
        self._systemd.reloading()
        before = self._reloader.settings
        notes = self._reloader.reload()
        self._apply(before, self._reloader.settings, notes)
        self._systemd.ready()

    def _apply(self, before: Settings, settings: Settings, notes: list[str]) -> None:
        logs.configure(settings.log)
        quiet_s = settle_s(self._file_system, settings.settle)
        if _inbox_settings(before) != _inbox_settings(settings):
            self._intake.replace(inboxes(settings, quiet_s, time.monotonic))
        self._held_jobs.apply(settings)
        self._lifecycle.apply(settings, quiet_s)
        self._comparison.apply(settings)
        self._executor.apply(settings)
        self._class_waits.apply(settings)
        self._conditions.apply(settings.share)
        self._cache.apply(settings.retention)
        self._retention.apply(settings.retention)
        self._publisher.apply(settings.status, notes)

    def _sleep_s(self) -> float:
        if self._conditions.now.block_reason is BlockReason.SHARE_AWAY:
            return _TICK_S
        return min(_TICK_S, max(0.0, self._intake.next_at - time.monotonic()))

    def _shut_down(self) -> None:
        """Let workers finish their segment, deliver finished jobs, and kill workers that take too long."""
        self._systemd.stopping()
        log.info("service stops", jobs=len(self._executor))
        self._lifecycle.stop()
        self._comparison.stop()
        self._executor.stop_all()
        deadline = time.monotonic() + self._reloader.settings.workers.stop_timeout_s
        while len(self._executor):
            if time.monotonic() > deadline or self._stop.at_once:
                self._executor.kill_all()
            self._last_turn(ServiceState.STOPPING)
            self._selector.select(_TICK_S)
        self._last_turn(ServiceState.STOPPED)
        log.info("service stopped")

    def _last_turn(self, phase: ServiceState) -> None:
        self._watchdog.beat()
        self._wakeup.clear()
        with self._watchdog.share_io():
            self._listen()
            try:
                self._lifecycle.advance()
            except (ShareAwayError, OSError) as exc:
                self._conditions.report_away(exc)
            self._publisher.show(self._conditions.now, phase=phase, at_once=phase is ServiceState.STOPPED)


def _inbox_settings(settings: Settings) -> tuple[Any, ...]:
    """Return the settings that need new ``Inbox`` objects when they change."""
    joins = {name: profile.join for name, profile in settings.profiles.items()}
    return settings.scan, settings.settle, joins
