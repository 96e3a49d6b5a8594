"""What is worth a message to people, from what the service tells; and how few messages are enough."""

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
from pipeline.errors import DiskFullError

_LISTED = 5  # names in a summary


class Kind(StrEnum):
    """The kinds of messages, as ``notify.events`` names them."""

    FAILED = "failed"
    INCOMPLETE = "incomplete"
    DEGRADED = "degraded"
    SHARE_AWAY = "share_away"
    LOW_SPACE = "low_space"
    RECOVERED = "recovered"


@dataclass(frozen=True, slots=True)
class Alert:
    """One message. ``brief`` is its line in a summary."""

    kind: Kind
    title: str
    text: str
    brief: str


class AlertRules:
    """Makes notices of events: one for each failure, and one for each change of a state."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._trouble: BlockReason | None = None
        self._told_jobs: set[str] = set()
        self._degraded = False

    def notices(self, event: Event) -> Iterator[Alert]:
        if isinstance(event, JobFailed):
            yield self._failed(event)
        elif isinstance(event, Delivered):
            yield from _incomplete(event)
        elif isinstance(event, Tick):
            yield from self._condition(event.condition)
            yield from self._degradation(event.board.running)

    def _failed(self, event: JobFailed) -> Alert:
        file, failure = printable(event.job.input_name), event.failure
        text = f"{failure.message}\n{failure.remedy}"
        if event.report:
            text += f"\nThe recording is untouched: it lies in failed/, beside the report {printable(event.report)}."
        return Alert(Kind.FAILED, f"{file} could not be done", text, f"{file} ({failure.code})")

    def _condition(self, condition: Condition) -> Iterator[Alert]:
        if condition.block_reason is BlockReason.PAUSED and self._trouble is BlockReason.LOW_SPACE:
            return  # whether there is space is not looked at while somebody pauses the service
        trouble = condition.block_reason if condition.block_reason in _TROUBLES else None
        before, self._trouble = self._trouble, trouble
        if before is not None and trouble is not before:
            yield self._recovered(_TROUBLES[before].better)
        if trouble is not None and trouble is not before:
            words = _TROUBLES[trouble]
            yield Alert(words.kind, words.title, f"{condition.reason}\n{words.remedy}", words.title)

    def _degradation(self, running: list[RunningJob]) -> Iterator[Alert]:
        degraded = [job for job in running if job.level != "normal"]
        for job in degraded:
            if job.job not in self._told_jobs:
                yield _degraded(job)
        if self._degraded and running and not degraded:
            yield self._recovered("Work goes on at full quality")
        self._degraded = bool(degraded) or (self._degraded and not running)
        self._told_jobs = {job.job for job in degraded} | (self._told_jobs & {job.job for job in running})

    def _recovered(self, what: str) -> Alert:
        return Alert(Kind.RECOVERED, what, f"{what} on {self._host}. There is nothing to do.", what)


def _incomplete(event: Delivered) -> Iterator[Alert]:
    warnings = warnings_in((event.job.manifest.result or {}).get("facts", {}))
    if warnings:
        file, more = printable(event.job.input_name), len(warnings) - _LISTED
        lines = [printable(warned["message"]) for warned in warnings[:_LISTED]]
        lines += [f"and {more} more, which the report names"] if more > 0 else []
        codes = ", ".join(sorted({warned["code"] for warned in warnings}))
        title = f"{file} is done, but something is missing"
        yield Alert(Kind.INCOMPLETE, title, "\n".join(lines), f"{file} ({codes})")


def _degraded(job: RunningJob) -> Alert:
    file, why = printable(job.file), printable(job.level_reason) or "the device is short of something"
    text = (
        f"Why: {why}.\nThe level is {job.level}. It returns to normal by itself; the report will tell when, and"
        " a second try can be made with the file from originals/."
    )
    return Alert(Kind.DEGRADED, f"{file} is done at reduced quality for now", text, f"{file} ({job.level})")


@dataclass(frozen=True, slots=True)
class _Words:
    kind: Kind
    title: str
    remedy: str
    better: str


_TROUBLES = {
    BlockReason.SHARE_AWAY: _Words(
        Kind.SHARE_AWAY,
        "The share is away",
        f"{ShareAwayError.remedy} Nothing is lost; if it is there, look for its folder {STATE_DIR}.",
        "The share is back",
    ),
    BlockReason.SHARE_SPLIT: _Words(
        Kind.SHARE_AWAY,
        "The share's folders are torn apart",
        "Nothing is lost; work goes on by itself when that is undone.",
        "The share's folders belong together again",
    ),
    BlockReason.LOW_SPACE: _Words(
        Kind.LOW_SPACE,
        "The share runs out of space",
        DiskFullError.remedy,
        "The share has space again",
    ),
}


@dataclass(slots=True)
class _Held:
    """What is held back of one kind until ``until``."""

    until: float
    count: int = 0
    briefs: list[str] = field(default_factory=list)


class Throttle:
    """Lets the first message of a kind through, holds back what follows within ``quiet_s``, and sums that up then."""

    def __init__(self, quiet_s: float, clock: Clock) -> None:
        self._quiet_s = quiet_s
        self._clock = clock
        self._held: dict[Kind, _Held] = {}

    def passes(self, notice: Alert) -> bool:
        """Whether the notice may be sent now; else it is held back for the next summary."""
        held = self._held.get(notice.kind)
        if held is None:
            self._held[notice.kind] = _Held(self._clock() + self._quiet_s)
            return True
        held.count += 1
        if len(held.briefs) < _LISTED:
            held.briefs.append(notice.brief)
        return False

    def summaries(self) -> Iterator[Alert]:
        """What is due of what was held back; the quiet time begins anew with it."""
        for kind, held in list(self._held.items()):
            if self._clock() >= held.until:
                del self._held[kind]
                if held.count:
                    self._held[kind] = _Held(self._clock() + self._quiet_s)
                    yield self._summary(kind, held)

    def _summary(self, kind: Kind, held: _Held) -> Alert:
        span = f"{self._quiet_s / 60:.0f} minutes" if self._quiet_s >= 60 else f"{self._quiet_s:.0f} seconds"
        title = f"{held.count} more in {span}: {_IN_SHORT[kind]}"
        more = held.count - len(held.briefs)
        lines = [*held.briefs, *([f"and {more} more"] if more else [])]
        return Alert(kind, title, "\n".join(lines), title)


_IN_SHORT = {
    Kind.FAILED: "files that could not be done",
    Kind.INCOMPLETE: "files of which something is missing",
    Kind.DEGRADED: "files at reduced quality",
    Kind.SHARE_AWAY: "the share was away",
    Kind.LOW_SPACE: "the share ran out of space",
    Kind.RECOVERED: "trouble that has passed",
}
