"""The rules by which events become alerts to people, and the throttle that limits their number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from daemon.clock import Clock
from daemon.errors import ShareAwayError
from daemon.jobs.start_conditions import BlockReason, Condition
from daemon.layout import STATE_DIR
from daemon.observability.events import Delivered, Event, JobFailed, Tick
from daemon.pages.warnings_text import warnings_in
from daemon.share.naming import printable
from daemon.status.model import RunningJob
from pipeline.degradation.level_ladder import Level
from pipeline.errors import DiskFullError

_LISTED = 5  # names in a summary


class AlertKind(StrEnum):
    """The kinds of alerts, as in ``notify.events``."""

    FAILED = "failed"
    INCOMPLETE = "incomplete"
    DEGRADED = "degraded"
    SHARE_AWAY = "share_away"
    LOW_SPACE = "low_space"
    RECOVERED = "recovered"


@dataclass(frozen=True, slots=True)
class Alert:
    """One message to people; ``brief`` is its line in a summary."""

    kind: AlertKind
    title: str
    text: str
    brief: str


class AlertRules:
    """Turns events into alerts: one for each failure, and one for each change of a state."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._block_reason: BlockReason | None = None
        self._alerted_jobs: set[str] = set()
        self._degraded = False

    def alerts(self, event: Event) -> Iterator[Alert]:
        """Yield the alerts that follow from an event."""
        if isinstance(event, JobFailed):
            yield self._failed(event)
        elif isinstance(event, Delivered):
            yield from _incomplete(event)
        elif isinstance(event, Tick):
            yield from self._on_condition(event.condition)
            yield from self._on_running_jobs(event.status.running)

    def _failed(self, event: JobFailed) -> Alert:
        file, failure = printable(event.job.input_name), event.failure
        text = f"{failure.message}\n{failure.remedy}"
        if event.report:
            text += f"\nThe recording is unchanged. It is in failed/, beside the report {printable(event.report)}."
        return Alert(AlertKind.FAILED, f"{file} could not be done", text, f"{file} ({failure.code})")

    def _on_condition(self, condition: Condition) -> Iterator[Alert]:
        if condition.block_reason is BlockReason.PAUSED and self._block_reason is BlockReason.LOW_SPACE:
            return  # the space is not checked during a pause
        reason = condition.block_reason if condition.block_reason in _ALERTS else None
        before, self._block_reason = self._block_reason, reason
        if before is not None and reason is not before:
            yield self._recovered(_ALERTS[before].recovered)
        if reason is not None and reason is not before:
            words = _ALERTS[reason]
            yield Alert(words.kind, words.title, f"{condition.reason}\n{words.remedy}", words.title)

    def _on_running_jobs(self, running: list[RunningJob]) -> Iterator[Alert]:
        degraded = [job for job in running if job.level != Level.NORMAL]
        for job in degraded:
            if job.job not in self._alerted_jobs:
                yield _degraded(job)
        if self._degraded and running and not degraded:
            yield self._recovered("Work goes on at full quality")
        self._degraded = bool(degraded) or (self._degraded and not running)
        self._alerted_jobs = {job.job for job in degraded} | (self._alerted_jobs & {job.job for job in running})

    def _recovered(self, what: str) -> Alert:
        return Alert(AlertKind.RECOVERED, what, f"{what} on {self._host}. There is nothing to do.", what)


def _incomplete(event: Delivered) -> Iterator[Alert]:
    warnings = warnings_in((event.job.manifest.result or {}).get("facts", {}))
    if warnings:
        file, more = printable(event.job.input_name), len(warnings) - _LISTED
        lines = [printable(warned["message"]) for warned in warnings[:_LISTED]]
        lines += [f"and {more} more, which the report names"] if more > 0 else []
        codes = ", ".join(sorted({warned["code"] for warned in warnings}))
        title = f"{file} is done, but something is missing"
        yield Alert(AlertKind.INCOMPLETE, title, "\n".join(lines), f"{file} ({codes})")


def _degraded(job: RunningJob) -> Alert:
    file, why = printable(job.file), printable(job.level_reason) or "the device lacks resources"
    text = (
        f"Why: {why}.\nThe level is {job.level}. It returns to normal by itself, and the report lists when. For full"
        " quality, drop the file from originals/ again."
    )
    return Alert(AlertKind.DEGRADED, f"{file} is done at reduced quality for now", text, f"{file} ({job.level})")


@dataclass(frozen=True, slots=True)
class _ConditionAlert:
    kind: AlertKind
    title: str
    remedy: str
    recovered: str


_ALERTS = {
    BlockReason.SHARE_AWAY: _ConditionAlert(
        AlertKind.SHARE_AWAY,
        "The share is away",
        f"{ShareAwayError.remedy} Nothing is lost; if it is there, look for its folder {STATE_DIR}.",
        "The share is back",
    ),
    BlockReason.SHARE_SPLIT: _ConditionAlert(
        AlertKind.SHARE_AWAY,
        "The share's folders are on different file systems",
        "Nothing is lost; work continues by itself when that is undone.",
        "The share's folders are on one file system again",
    ),
    BlockReason.LOW_SPACE: _ConditionAlert(
        AlertKind.LOW_SPACE,
        "The share runs out of space",
        DiskFullError.remedy,
        "The share has space again",
    ),
}


@dataclass(slots=True)
class _HeldBack:
    """The alerts of one kind that are held back until ``until`` (monotonic seconds)."""

    until: float
    count: int = 0
    briefs: list[str] = field(default_factory=list)


class AlertThrottle:
    """Passes the first alert of a kind, holds back those of the next ``quiet_s``, and then gives a summary of them."""

    def __init__(self, quiet_s: float, clock: Clock) -> None:
        self._quiet_s = quiet_s
        self._clock = clock
        self._held: dict[AlertKind, _HeldBack] = {}

    def passes(self, alert: Alert) -> bool:
        """Return whether the alert may be sent now; if not, it becomes a part of the next summary."""
        held = self._held.get(alert.kind)
        if held is None:
            self._held[alert.kind] = _HeldBack(self._clock() + self._quiet_s)
            return True
        held.count += 1
        if len(held.briefs) < _LISTED:
            held.briefs.append(alert.brief)
        return False

    def summaries(self) -> Iterator[Alert]:
        """Yield the summaries that are due; each starts a new quiet time."""
        for kind, held in list(self._held.items()):
            if self._clock() >= held.until:
                del self._held[kind]
                if held.count:
                    self._held[kind] = _HeldBack(self._clock() + self._quiet_s)
                    yield self._summary(kind, held)

    def _summary(self, kind: AlertKind, held: _HeldBack) -> Alert:
        span = f"{self._quiet_s / 60:.0f} minutes" if self._quiet_s >= 60 else f"{self._quiet_s:.0f} seconds"
        title = f"{held.count} more in {span}: {_SUMMARY_TITLES[kind]}"
        more = held.count - len(held.briefs)
        lines = [*held.briefs, *([f"and {more} more"] if more else [])]
        return Alert(kind, title, "\n".join(lines), title)


_SUMMARY_TITLES = {
    AlertKind.FAILED: "files that could not be done",
    AlertKind.INCOMPLETE: "files of which something is missing",
    AlertKind.DEGRADED: "files at reduced quality",
    AlertKind.SHARE_AWAY: "the share was away",
    AlertKind.LOW_SPACE: "the share ran out of space",
    AlertKind.RECOVERED: "recovered",
}
