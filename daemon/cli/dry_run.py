"""``dualface run --dry-run``: what the service would take, in order, and why it leaves the rest. It changes nothing.

The service's own scanner, settling and turns decide. Only time is shortened: a file that does not change within a few
seconds here counts as complete, while the service wants to see the whole quiet time (``settle``).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePath

from daemon.config.settings import Settings
from daemon.inbox.candidate import Candidate
from daemon.inbox.inbox import Inbox, Intake, inboxes
from daemon.inbox.scanner import LeftAlone, Walk
from daemon.jobs.claim import is_quiet
from daemon.jobs.job import job_folders, load_job
from daemon.share.leases import host_name, read
from daemon.share.reach import NoShareError, ShareForbiddenError
from daemon.share.share import Share, file_system, settle_s
from pipeline.degradation.space import Free, lacking

_WATCHED_S = 2.0


@dataclass(frozen=True, slots=True)
class Claim:
    """A file that would be taken."""

    file: str
    profile: str
    bytes: int
    has_sidecar: bool
    parts: int = 1


@dataclass(slots=True)
class Forecast:
    """What a service would do now.

    Attributes:
        stops: what keeps it from starting anything, "" where nothing does.
        quiet_s: the time without change that it wants to see of each file.
        held: jobs that were claimed before and go on first, with the host that holds them.
        claims: files that would be taken, in order.
        not_yet, left_alone: the others with the reason.
    """

    stops: str
    quiet_s: float
    held: list[tuple[str, str]] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    not_yet: list[tuple[str, str]] = field(default_factory=list)
    left_alone: list[tuple[str, str]] = field(default_factory=list)


def foresee(share: Share, settings: Settings, sleep: Callable[[float], None] = time.sleep) -> Forecast:
    """Look at the inboxes for some seconds.

    Raises:
        NoShareError: there is no such folder.
        ShareForbiddenError: an inbox may not be read.
    """
    if not share.root.is_dir():
        raise NoShareError(f"The share's folder {share.root} does not exist.")
    quiet_s = settle_s(file_system(share.root), settings.settle)
    forecast = Forecast(_stops(share, settings), quiet_s, list(_held(share)))
    intake = _watched(settings, quiet_s, sleep)
    for inbox, candidate in _in_turn(intake):
        _place(forecast, inbox, candidate)
    for inbox in intake.inboxes:
        forecast.not_yet += [(_name(inbox, file), "it is still changing") for file in inbox.arriving]
        forecast.not_yet += [(_name(inbox, file), "it has no content yet") for file in inbox.empty]
        forecast.not_yet += [(_name(inbox, file), wait.why.message) for file, wait in inbox.unfinished.items()]
        forecast.not_yet += [(_name(inbox, file), why.message) for file, why in inbox.forbidden.items()]
        forecast.left_alone += [(_name(inbox, left.relative), left.reason.value) for left in _refused(inbox, settings)]
    forecast.not_yet += [
        (_name(inbox, found.relative), "its sidecar is still changing")
        for inbox, found in intake.upcoming(10**6)
        if found.relative not in inbox.forbidden
    ]
    return forecast


def _watched(settings: Settings, quiet_s: float, sleep: Callable[[float], None]) -> Intake:
    """The inboxes after as many looks as settling wants, on a clock that runs ahead."""
    now = 0.0
    polls = settings.settle.polls
    there = [inbox for inbox in inboxes(settings, quiet_s, lambda: now) if inbox.folder.is_dir()]  # others are made
    intake = Intake(there)
    for look in range(polls if there else 0):
        if look:
            sleep(_WATCHED_S / (polls - 1))
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
            for found in (candidate.found, *candidate.parts):
                inbox.forget(found.relative)
            yield chosen


def _place(forecast: Forecast, inbox: Inbox, candidate: Candidate) -> None:
    name, found = _name(inbox, candidate.relative), candidate.found
    try:
        quiet = is_quiet(inbox.folder / candidate.relative, found.signature)
    except OSError as error:
        forecast.not_yet.append((name, f"it cannot be opened: {error.strerror}"))
        return
    if quiet:
        sidecar = candidate.sidecar is not None
        size = sum(one.signature.size for one in (found, *candidate.parts))
        forecast.claims.append(Claim(name, inbox.settings.profile, size, sidecar, 1 + len(candidate.parts)))
    else:
        forecast.not_yet.append((name, "a program on this machine is writing to it"))


def _refused(inbox: Inbox, settings: Settings) -> Iterator[LeftAlone]:
    walk = Walk(inbox.folder, settings.scan.extensions, tell_all=True)
    yield from (entry for entry in walk if isinstance(entry, LeftAlone))


def _stops(share: Share, settings: Settings) -> str:
    reason = share.pause_reason()
    if reason is not None:
        return f"paused: {reason or 'there is a PAUSE file'}"
    reason = share.drain_reason(host_name(settings.leases))
    if reason is not None:
        return f"drained: {reason}"
    return lacking(Free.at(share.root), settings.share.low_bytes, "share.low_bytes")


def _held(share: Share) -> Iterator[tuple[str, str]]:
    for folder in job_folders(share.jobs) if share.jobs.is_dir() else ():
        try:
            job = load_job(folder)
        except (OSError, ValueError):
            yield folder.name, "its record cannot be read"
            continue
        lease = read(folder)
        yield job.label, f"{job.manifest.state.value}, held by {lease.host if lease else 'nobody'}"


def _name(inbox: Inbox, relative: str) -> str:
    return str(PurePath(inbox.settings.path, relative))
