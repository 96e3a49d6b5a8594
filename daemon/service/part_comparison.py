"""Comparison of two files that may be parts of one recording, in a worker process."""

from __future__ import annotations

from itertools import islice

import structlog

from daemon.backoff import Backoff
from daemon.clock import Clock
from daemon.config.settings import Settings
from daemon.executor.protocol import Executor, Outcome
from daemon.inbox.chapter_groups import Joint
from daemon.inbox.inbox import Inbox
from daemon.inbox.intake import Intake
from daemon.jobs.outcome_errors import share_failure
from daemon.service.job_overview import COMPARISON
from daemon.share.naming import printable
from daemon.share.share import Share
from daemon.worker import chapter_check
from daemon.worker.protocol import CompareFiles, Failed, FilesCompared

log = structlog.get_logger(__name__)


class PartComparison:
    """Compares one pair of files at a time."""

    def __init__(self, settings: Settings, share: Share, intake: Intake, executor: Executor, clock: Clock) -> None:
        self._share = share
        self._intake = intake
        self._executor = executor
        self._backoff = Backoff(settings.retry, clock)
        self._pair: tuple[Inbox, Joint] | None = None
        self._stopping = False
        self.apply(settings)

    def apply(self, settings: Settings) -> None:
        """Use other settings for the comparisons that start from now on."""
        self._limits = settings.workers.limits

    def stop(self) -> None:
        """Ignore the result of the present comparison: its worker is being stopped."""
        self._stopping = True

    def start_next(self) -> None:
        """Start a worker for the next pair, if there is one and no other is being compared."""
        if self._pair or not self._backoff.due:
            return
        pairs = ((inbox, joint) for inbox in self._intake.inboxes if (joint := inbox.open_joint()))
        for inbox, joint in islice(pairs, 1):
            first, second = (inbox.folder / one.relative for one in (joint.first, joint.second))
            order = CompareFiles(first, second, joint.certain_names, self._limits)
            try:
                self._executor.start(COMPARISON, order, log, longest_s=chapter_check.TIMEOUT_S)
                self._pair = inbox, joint
            except OSError as exc:
                self._wait(str(exc))

    def finish(self, outcome: Outcome) -> None:
        """Note the result; files at which every comparison fails are recordings of their own."""
        pair, self._pair = self._pair, None
        if pair is None or self._stopping:
            return
        inbox, joint = pair
        if isinstance(outcome, Failed) and (outcome.environmental or share_failure(self._share)):
            self._wait(outcome.message)
            return
        self._backoff.succeed()
        follows = isinstance(outcome, FilesCompared) and outcome.follows
        inbox.decide(joint, follows=follows)
        files = {"file": printable(joint.first.relative), "next": printable(joint.second.relative)}
        log.info("parts compared", **files, follows=follows)

    def _wait(self, reason: str) -> None:
        log.warning("parts cannot be compared", reason=reason, retry_in_s=round(self._backoff.fail(), 1))
