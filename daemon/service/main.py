"""The service: one loop that scans, schedules, listens to workers and tells everybody how it stands.

The loop never blocks on purpose, except in its one sleep. Media is opened in worker processes only.
"""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import structlog

from daemon import logs
from daemon.config.settings import Settings
from daemon.diagnostics.checks.startup import recheck_share, torn
from daemon.errors import BackendUnusableError, DaemonError, ResourceLimitError, ShareAwayError, StateRemovedError
from daemon.inbox.inbox import inboxes
from daemon.inbox.selection import Intake
from daemon.jobs.gpu_placement import GPU
from daemon.jobs.job_spec import job_slots
from daemon.jobs.outcome_policy import explain
from daemon.jobs.segment_cache import SegmentCache
from daemon.jobs.start_conditions import BlockReason, Conditions
from daemon.observability.events import EventBus, Listener
from daemon.service.dispatcher import Scheduler
from daemon.service.failed_folder import FailedFolder
from daemon.service.reload import Reloading
from daemon.service.retention import Retention
from daemon.service.snapshot import HistoryRecorder, StatusPublisher
from daemon.service.systemd import Notifier, WatchdogThread, watchdog_interval_s
from daemon.service.telemetry import observing
from daemon.service.wakeup import StopRequest, WakeupPipe, signals, watching
from daemon.share import known_shares
from daemon.share.leases import host_name, only_service_of_host
from daemon.share.share import Share, ShareIdentity, file_system, is_network, settle_s
from daemon.status.model import History, read_status
from daemon.status.store import HostFiles
from daemon.worker.pool import Died, Outcome, Pool
from daemon.worker.protocol import Check, Failed, Ready

EXIT_OK = 0
EXIT_ENVIRONMENT = 3
_SCAN_SLICE_S = 0.25
_TICK_S = 1.0  # the longest sleep: leases, the page and the watchdog want their turn
_BREATH_S = 0.01  # between two turns, however fast events come in
_CHECK = "backend check"

log = structlog.get_logger(__name__)


def run(settings: Settings, reread: Callable[[], Settings]) -> int:
    """Run the service in the foreground until SIGTERM or SIGINT.

    Args:
        reread: reads the configuration anew, which SIGHUP asks for.

    Returns:
        The exit code: 0 after an orderly stop, 3 where the share or the backend cannot be used.
    """
    logs.configure(settings.log)
    try:
        _run(settings, reread)
    except DaemonError as exc:
        log.error("service cannot run", code=exc.code, reason=exc.message, remedy=exc.remedy)  # noqa: TRY400
        return EXIT_ENVIRONMENT
    return EXIT_OK


def _run(settings: Settings, reread: Callable[[], Settings]) -> None:
    notifier = Notifier()
    share = Share(settings)
    known_shares.expect(share)
    _tell_of_lost_state(share)
    identity = share.prepare()
    recheck_share(settings)
    known_shares.remember(share, identity)
    watchdog = WatchdogThread(notifier, watchdog_interval_s())
    with (
        only_service_of_host(share.hosts, host_name(settings.leases)),
        WakeupPipe() as wakeup,
        signals(wakeup) as (stop, reload_request),
        selectors.DefaultSelector() as selector,
        watchdog.running(),
        observing(settings) as (recorder, listeners),
    ):
        selector.register(wakeup, selectors.EVENT_READ)
        pool = Pool(
            selector,
            stall_timeout_s=settings.workers.stall_timeout_s,
            clock=time.monotonic,
            on_tally=recorder.stats,
        )
        notifier.status("Checking the backend")
        gpus = _check_backend(settings, pool, selector, watchdog, stop)
        reloading = Reloading(settings, reload_request, reread)
        loop = _Loop(reloading, share, identity, pool, selector, wakeup, stop, notifier, watchdog, listeners, gpus)
        with _events(settings, share, wakeup):
            loop.run()


def _tell_of_lost_state(share: Share) -> None:
    """Say that the service's own folder has gone since a service last reported, and what was in it."""
    board = read_status(share.root) if share.is_bereft() else None
    if board is not None:
        files = [row.get("file") for row in (*board.get("running", []), *board.get("waiting", []))]
        log.warning("begun anew", reason=share.bereft, files=files, remedy=StateRemovedError.remedy)


def _check_backend(
    settings: Settings, pool: Pool, selector: selectors.BaseSelector, watchdog: WatchdogThread, stop: StopRequest
) -> list[GPU]:
    """Let a short-lived worker open the backend; returns the GPUs that work.

    Raises:
        BackendUnusableError: it cannot be opened, or the check does not end in time.
    """
    pool.start(_CHECK, Check(settings.device, settings.workers.limits), log)
    deadline = time.monotonic() + settings.workers.start_timeout_s
    outcome: Outcome | None = None
    while outcome is None and not stop:
        watchdog.beat()
        if time.monotonic() > deadline:
            pool.kill(_CHECK)
        selector.select(_TICK_S)
        outcome = next((ended for _, ended in pool.poll()), None)
    if isinstance(outcome, Ready):
        sessions = [gpu.nvenc.opened if gpu.nvenc else 0 for gpu in outcome.gpus]
        log.info("backend works", device=outcome.device, gpus=len(outcome.gpus), encoder_sessions=sessions)
        return list(outcome.gpus)
    if outcome is not None:
        raise _unusable(outcome, overdue=time.monotonic() > deadline, settings=settings)
    return []


def _unusable(outcome: Outcome, *, overdue: bool, settings: Settings) -> BackendUnusableError:
    """What the end of the check means; the advice that a death has for a file does not fit here."""
    failure = explain(outcome)
    if overdue:
        return BackendUnusableError(
            f"The check of the backend did not end within {settings.workers.start_timeout_s:.0f} s.",
            remedy="Look for what holds up the machine or the driver, or raise workers.start_timeout_s.",
        )
    if isinstance(outcome, Died) or failure.code == ResourceLimitError.code:
        remedy = "See whether it is workers.limits or a library that took the program down."
        return BackendUnusableError(failure.message, remedy=remedy, doctor_check="limits")
    return BackendUnusableError(failure.message, remedy=failure.remedy if isinstance(outcome, Failed) else None)


@contextmanager
def _events(settings: Settings, share: Share, wakeup: WakeupPipe) -> Iterator[None]:
    """inotify as an alarm clock, where it can be trusted to see everything or at least does no harm."""
    kind = file_system(share.jobs)
    if settings.scan.events == "off" or is_network(kind):
        log.info("share is polled", file_system=kind, events=False)
        yield
        return
    with watching(list(share.inboxes), wakeup) as works:
        log.info("share is polled", file_system=kind, events=works)
        yield


def _of_inboxes(settings: Settings) -> tuple[Any, ...]:
    """What the inboxes are made with."""
    joins = {name: profile.join for name, profile in settings.profiles.items()}
    return settings.scan, settings.settle, joins


class _Loop:
    """The running service, after everything has been checked."""

    def __init__(
        self,
        reloading: Reloading,
        share: Share,
        identity: ShareIdentity,
        pool: Pool,
        selector: selectors.BaseSelector,
        wakeup: WakeupPipe,
        stop: StopRequest,
        notifier: Notifier,
        watchdog: WatchdogThread,
        listeners: Sequence[Listener],
        gpus: Sequence[GPU],
    ) -> None:
        clock = time.monotonic
        settings = reloading.settings
        self._file_system = file_system(share.jobs)
        quiet_s = settle_s(self._file_system, settings.settle)
        host = host_name(settings.leases)
        history = History(settings.status.finished_listed)
        history.restore(HostFiles(share.hosts, share.jobs).read(host))
        events = EventBus(HistoryRecorder(history, host), *listeners)
        self._reloading = reloading
        self._share = share
        self._pool = pool
        self._selector = selector
        self._wakeup = wakeup
        self._stop = stop
        self._notifier = notifier
        self._watchdog = watchdog
        self._inbox_trouble = ""
        self._kept = SegmentCache(share, settings.retention, clock)
        self._conditions = Conditions(
            share, identity, self._kept, settings, clock, lambda: torn(self._reloading.settings)
        )
        self._intake = Intake(inboxes(settings, quiet_s, clock))
        self._scheduler = Scheduler(
            settings, share, self._intake, pool, self._kept, events, settle_s=quiet_s, clock=clock, gpus=gpus
        )
        self._publisher = StatusPublisher(
            settings, share, self._scheduler, self._intake, history, notifier, events, clock
        )
        self._retention = Retention(share.originals, settings.retention, clock)
        self._failed = FailedFolder(
            share.root, share.failed, history, interval_s=settings.scan.max_interval_s, clock=clock
        )

    def run(self) -> None:
        """Work until asked to stop.

        Raises:
            ShareReplacedError: another share lies at the root now; a fresh start finds its way in it.
        """
        log.info("service started", root=str(self._share.root), slots=job_slots(self._reloading.settings))
        self._notifier.ready()
        try:
            while not self._stop:
                self._turn()
                time.sleep(_BREATH_S)
                self._selector.select(self._sleep_s())
        finally:
            self._shut_down()

    def _turn(self) -> None:
        self._watchdog.beat()
        if self._wakeup.silence():
            self._intake.wake()
        if self._reloading.asked():
            self._reload()
        with self._watchdog.share_io():
            self._scheduler.listen()
            condition = self._conditions.look()
            if condition.block_reason is not BlockReason.SHARE_AWAY:
                self._work(condition.block_reason)
            self._publisher.show(self._conditions.now)

    def _work(self, block_reason: BlockReason) -> None:
        may_claim = block_reason is BlockReason.NONE
        try:
            self._scan()
            self._scheduler.advance(
                may_start=may_claim or block_reason is BlockReason.DRAINING,
                may_claim=may_claim,
                may_resume=block_reason is BlockReason.LOW_SPACE,
            )
            self._retention.advance()
            self._failed.advance()
            self._kept.sweep()
        except (ShareAwayError, OSError) as exc:
            self._conditions.lost(exc)

    def _scan(self) -> None:
        try:
            self._intake.advance(_SCAN_SLICE_S)
        except OSError as exc:
            self._share.identity()  # raises where the whole share has gone
            self._tell_of_inbox(exc)
        else:
            self._inbox_trouble = ""

    def _tell_of_inbox(self, error: OSError) -> None:
        """The share is there, so somebody has removed an inbox, or taken away the right to read it."""
        if str(error) != self._inbox_trouble:
            self._inbox_trouble = str(error)
            log.warning("inbox cannot be read", reason=self._inbox_trouble)

    def _reload(self) -> None:
        """Take a changed configuration over, as far as that is possible; a wrong one changes nothing."""
        self._notifier.reloading()
        before = self._reloading.settings
        self._publisher.notes = self._reloading.take()
        self._adopt(before, self._reloading.settings)
        self._notifier.ready()

    def _adopt(self, before: Settings, settings: Settings) -> None:
        logs.configure(settings.log)
        quiet_s = settle_s(self._file_system, settings.settle)
        if _of_inboxes(before) != _of_inboxes(settings):
            self._intake.inboxes = inboxes(settings, quiet_s, time.monotonic)
        self._scheduler.adopt(settings, quiet_s)
        self._pool.stall_timeout_s = settings.workers.stall_timeout_s
        self._conditions.settings = settings.share
        self._kept.settings = self._retention.settings = settings.retention
        self._publisher.page.adopt(settings.status)

    def _sleep_s(self) -> float:
        if self._conditions.now.block_reason is BlockReason.SHARE_AWAY:
            return _TICK_S
        return min(_TICK_S, max(0.0, self._intake.next_at - time.monotonic()))

    def _shut_down(self) -> None:
        """Let workers finish their segment, deliver what is done, and end what does not end by itself."""
        self._notifier.stopping()
        log.info("service stops", jobs=len(self._pool))
        self._scheduler.stop()
        deadline = time.monotonic() + self._reloading.settings.workers.stop_timeout_s
        while len(self._pool):
            if time.monotonic() > deadline or self._stop.at_once:
                self._pool.kill_all()
            self._turn_down("stopping")
            self._selector.select(_TICK_S)
        self._turn_down("stopped")
        log.info("service stopped")

    def _turn_down(self, phase: str) -> None:
        self._watchdog.beat()
        self._wakeup.silence()
        with self._watchdog.share_io():
            self._scheduler.listen()
            try:
                self._scheduler.advance(may_start=False)
            except (ShareAwayError, OSError) as exc:
                self._conditions.lost(exc)
            self._publisher.show(self._conditions.now, phase=phase, at_once=phase == "stopped")
