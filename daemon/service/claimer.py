"""From the next settled file of the inboxes to a held job."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from daemon.backoff import SOON_S, Backoff
from daemon.clock import Clock
from daemon.config.settings import Settings
from daemon.inbox.candidate import Candidate
from daemon.inbox.inbox import Inbox
from daemon.inbox.intake import Intake
from daemon.jobs.claim import claim
from daemon.jobs.job import Job
from daemon.remedies import log_fields
from daemon.share.leases import Lease
from daemon.share.share import Share
from engines.errors import ExplainedError

log = structlog.get_logger(__name__)


class Claimer:
    """Claims files for this service, and waits after trouble with the share.

    Args:
        lease: returns the present lease of this service.
        accept: takes over a claimed job, together with what was seen of its files in the inbox.
    """

    def __init__(
        self,
        settings: Settings,
        share: Share,
        intake: Intake,
        clock: Clock,
        *,
        lease: Callable[[], Lease],
        accept: Callable[[Job, Candidate], None],
    ) -> None:
        self._share = share
        self._intake = intake
        self._lease = lease
        self._accept = accept
        self._backoff = Backoff(settings.retry, clock)

    def claim_next(self) -> bool:
        """Try to claim the next file; return False if there is none, or if it is too early after trouble."""
        chosen = self._intake.choose() if self._backoff.due else None
        if chosen is None:
            return False
        inbox, candidate = chosen
        if inbox.may_take(candidate):
            self._claim(inbox, candidate)
        return True

    def _claim(self, inbox: Inbox, candidate: Candidate) -> None:
        try:
            job = claim(self._share, candidate, inbox.folder, self._lease())
        except OSError as exc:
            inbox.not_taken(candidate, exc)
        except ExplainedError as exc:
            inbox.forget(candidate.relative)
            wait_s = self._backoff.fail(SOON_S)
            log.warning("cannot claim", **log_fields(exc), retry_in_s=round(wait_s, 1))
        else:
            inbox.taken(candidate)
            self._backoff.succeed()
            if job is not None:
                self._accept(job, candidate)
