"""The checks at the start of the service: the fast and essential part of ``dualface doctor``."""

from __future__ import annotations

import structlog

from daemon.config.settings import Settings
from daemon.diagnostics.checks.context import Context
from daemon.diagnostics.checks.share import AT_START, LOGGED_ONLY
from daemon.diagnostics.framework import Verdict, examine, select
from daemon.errors import ShareUnusableError
from daemon.remedies import doctor_hint

log = structlog.get_logger(__name__)


def torn(settings: Settings) -> str:
    """Return what prevents moves between the folders of the share, in the words of the check; "" if nothing does."""
    for result in examine(select(["share-one-file-system"]), Context(settings, directly=True)):
        if result.finding.verdict is Verdict.FAILED:
            return f"{result.finding.summary} {result.finding.remedy}"
    return ""


def recheck_share(settings: Settings) -> None:
    """Check the share in this process, and log warnings.

    Raises:
        ShareUnusableError: the service cannot work on the share; the remedy names the check.
    """
    for result in examine(select(AT_START), Context(settings, directly=True)):
        finding = result.finding
        if finding.verdict is Verdict.FAILED and result.name not in LOGGED_ONLY:
            raise ShareUnusableError(finding.summary, remedy=finding.remedy, doctor_check=result.name)
        if finding.verdict in (Verdict.FAILED, Verdict.WARNING):
            remedy = f"{finding.remedy} {doctor_hint(result.name)}"
            log.warning("share check", check=result.name, reason=finding.summary, remedy=remedy)
