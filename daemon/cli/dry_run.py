"""``dualface run --dry-run``: which files the service would claim, in order, and why the others wait.

It changes nothing. The code of the service decides: inboxes, selection, block reasons. Only the time is shortened: a
file counts as settled if it does not change for a few seconds, while the service waits for the quiet time
(``settle.*``).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePath

from daemon.config.settings import Settings
from daemon.inbox.candidate import Candidate
from daemon.inbox.inbox import Inbox, inboxes
from daemon.inbox.intake import Intake
from daemon.inbox.scanner import Ignored, Walk
from daemon.jobs.claim import are_quiet
from daemon.jobs.job import job_folders, load_job
from daemon.jobs.start_conditions import BlockReason, find_block
from daemon.share.leases import host_name, read
from daemon.share.reach import NoShareError, ShareForbiddenError
from daemon.share.share import Share, file_system, settle_s

_OBSERVED_S = 2.0


@dataclass(frozen=True, slots=True)
class Claim:
    """A recording that would be claimed; ``bytes`` is the size of all its parts."""

    file: str
    profile: str
    bytes: int
    has_sidecar: bool
    parts: int = 1


@dataclass(slots=True)
class Forecast:
    """What a service would do now.

    Attributes:
        block: what keeps it from starting anything, "" if nothing does.
        quiet_s: how long a file must not change.
        held: claimed jobs, which continue first, with their state and host.
        claims: the recordings that would be claimed, in order.
        waiting: files that would not be claimed yet, with the reason.
        ignored: files that would never be claimed, with the reason.
    """

    block: str
    quiet_s: float
    held: list[tuple[str, str]] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    waiting: list[tuple[str, str]] = field(default_factory=list)
    ignored: list[tuple[str, str]] = field(default_factory=list)


def forecast(share: Share, settings: Settings, sleep: Callable[[float], None] = time.sleep) -> Forecast:
    """Observe the inboxes for a few seconds, and return what a service would do.

    Raises:
        NoShareError: the share's folder does not exist.
        ShareForbiddenError: an inbox cannot be read.
    """
    if not share.root.is_dir():
        raise NoShareError(f"The share's folder {share.root} does not exist.")
    quiet_s = settle_s(file_system(share.root), settings.settle)
    plan = Forecast(_block(share, settings), quiet_s, list(_held(share)))
    intake = _observed(settings, quiet_s, sleep)
    for inbox, candidate in _in_turn(intake):
        _add(plan, inbox, candidate)
    for inbox in intake.inboxes:
        plan.waiting += [(_name(inbox, file), "it is still changing") for file in inbox.arriving]
        plan.waiting += [(_name(inbox, file), "it has no content yet") for file in inbox.empty]
        plan.waiting += [(_name(inbox, file), wait.why.message) for file, wait in inbox.unfinished.items()]
        plan.waiting += [(_name(inbox, file), why.message) for file, why in inbox.forbidden.items()]
        plan.ignored += [(_name(inbox, entry.relative), entry.reason.value) for entry in _ignored(inbox, settings)]
    plan.waiting += [
        (_name(inbox, found.relative), "its sidecar is still changing")
        for inbox, found in intake.upcoming(10**6)
        if found.relative not in inbox.forbidden
    ]
    return plan


def _observed(settings: Settings, quiet_s: float, sleep: Callable[[float], None]) -> Intake:
    """Scan the inboxes as often as settling requires, with a clock that runs faster."""
    now = 0.0
    polls = settings.settle.polls
    there = [
        inbox for inbox in inboxes(settings, quiet_s, lambda: now) if inbox.folder.is_dir()
    ]  # the service makes missing ones
    intake = Intake(there)
    for scan in range(polls if there else 0):
        if scan:
            sleep(_OBSERVED_S / (polls - 1))
            now += max(quiet_s / (polls - 1), settings.scan.max_interval_s)
        try:
            intake.advance(math.inf)
        except OSError as error:
            raise ShareForbiddenError(f"An inbox cannot be read: {error.strerror}: {error.filename}.") from error
    return intake


def _in_turn(intake: Intake) -> Iterator[tuple[Inbox, Candidate]]:
    while chosen := intake.choose():
        inbox, candidate = chosen
        if inbox.may_take(candidate):
            inbox.taken(candidate)
            yield chosen


def _add(plan: Forecast, inbox: Inbox, candidate: Candidate) -> None:
    name, recording = _name(inbox, candidate.relative), (candidate.found, *candidate.parts)
    sidecar = candidate.sidecar
    files = (*recording, sidecar) if sidecar and not sidecar.fault else recording
    try:
        quiet = are_quiet((inbox.folder / found.relative, found.signature) for found in files)
    except OSError as error:
        plan.waiting.append((name, f"it cannot be opened: {error.strerror}"))
        return
    if quiet:
        size = sum(found.signature.size for found in recording)
        plan.claims.append(Claim(name, inbox.settings.profile, size, sidecar is not None, len(recording)))
    else:
        plan.waiting.append((name, "a program on this machine is writing to it"))


def _ignored(inbox: Inbox, settings: Settings) -> Iterator[Ignored]:
    walk = Walk(inbox.folder, settings.scan.extensions, all_ignored=True)
    yield from (entry for entry in walk if isinstance(entry, Ignored))


def _block(share: Share, settings: Settings) -> str:
    found = find_block(share, settings.share, host_name(settings.leases))
    if found.block_reason is BlockReason.NONE:
        return ""
    return f"{found.block_reason.value.replace('_', ' ')}: {found.reason}"


def _held(share: Share) -> Iterator[tuple[str, str]]:
    for folder in job_folders(share.jobs) if share.jobs.is_dir() else ():
        try:
            job = load_job(folder)
        except (OSError, ValueError):
            yield folder.name, "its record cannot be read"
            continue
        lease = read(folder)
        yield job.label, f"{job.manifest.state.value}, held by {lease.host if lease else 'no host'}"


def _name(inbox: Inbox, relative: str) -> str:
    return str(PurePath(inbox.settings.path, relative))
