"""One inbox: scanned in slices; which of its files are settled, and why the others wait."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from itertools import takewhile
from pathlib import Path

import structlog

from daemon.clock import Clock
from daemon.config.settings import InboxSettings, ScanSettings, Settings, SettleSettings
from daemon.errors import DaemonError
from daemon.inbox.arrivals import Arrivals, PartsArriveError, Waiting
from daemon.inbox.candidate import Candidate
from daemon.inbox.chapter_groups import ChapterGroups, Joint
from daemon.inbox.permissions import PermissionHolds
from daemon.inbox.ready_queue import ReadyQueue
from daemon.inbox.scan_schedule import ScanSchedule
from daemon.inbox.scanner import Found, Ignored, SkipReason, Walk
from daemon.inbox.sidecars import Sidecars
from daemon.inbox.stability import SettleTracker
from daemon.share.naming import printable
from daemon.share.share import inbox_folder

_LOGGED_AT_MOST = 10_000
_IGNORED_AT_MOST = 100  # ignored files that are listed by name

_PARTS_ARRIVE = PartsArriveError("The recording may continue in another part, which is awaited and compared.")

log = structlog.get_logger(__name__)


class Inbox:
    """One watched folder, its files, and which of them are settled.

    Args:
        quiet_s: how long a file must not change.
        joins: whether the parts of a recording become one job.
    """

    def __init__(
        self,
        settings: InboxSettings,
        folder: Path,
        scan: ScanSettings,
        settle: SettleSettings,
        *,
        quiet_s: float,
        clock: Clock,
        joins: bool = True,
    ) -> None:
        self.settings = settings
        self.folder = folder
        self._extensions = scan.extensions
        self._tracker = SettleTracker(quiet_s=quiet_s, empty_s=scan.empty_after_s, polls=settle.polls, clock=clock)
        self._schedule = ScanSchedule(scan, quiet_s, settle.polls)
        self._clock = clock
        self._ready = ReadyQueue()
        self._holds = PermissionHolds(folder, clock)
        self._arrivals = Arrivals(folder, settle.unfinished_s, clock)
        self._sidecars = Sidecars()
        self._chapters = ChapterGroups(settle.chapters_s, clock, joins=joins)
        self._settling: set[str] = set()
        self._empty: set[str] = set()  # they may stay empty for minutes, so they do not shorten the scan interval
        self._ignored: dict[str, SkipReason] = {}
        self._logged: set[str] = set()
        self._walk: Iterator[None] | None = None
        self._interval_s = scan.min_interval_s
        self._next_at = clock()

    @property
    def ready(self) -> int:
        """The number of settled files."""
        return len(self._ready)

    @property
    def settling(self) -> int:
        """The number of files that still change."""
        return len(self._settling)

    @property
    def arriving(self) -> list[str]:
        """Files that are still being copied."""
        return sorted(self._settling)

    @property
    def empty(self) -> list[str]:
        """Files without content; somebody may still write to them."""
        return sorted(self._empty)

    @property
    def forbidden(self) -> Mapping[str, DaemonError]:
        """Files that keep a recording waiting, and the error: missing permissions, or several sidecars."""
        return {**self._holds.reasons, **self._sidecars.unclear()}

    @property
    def unfinished(self) -> Mapping[str, Waiting]:
        """Files that have stopped growing but are incomplete, or whose next part may still come."""
        parts = {file: Waiting(_PARTS_ARRIVE, since) for file, since in self._chapters.waiting().items()}
        return {**parts, **self._arrivals.reasons}

    @property
    def ignored(self) -> dict[str, SkipReason]:
        """What the last scan ignored, and why."""
        return self._ignored

    @property
    def next_at(self) -> float:
        """Monotonic time of the next slice of work."""
        return self._clock() if self._walk is not None else self._next_at

    def wake(self) -> None:
        """Scan as soon as the schedule permits, after a change in the folder."""
        self._interval_s = self._schedule.scan.min_interval_s
        self._next_at = min(self._next_at, self._clock() + self._interval_s)

    def advance(self, budget_s: float) -> None:
        """Scan for at most ``budget_s`` seconds, if a scan is due.

        Raises:
            OSError: the inbox cannot be read.
        """
        if self._walk is None:
            if self._clock() < self._next_at:
                return
            self._walk = self._scan()
        deadline = time.monotonic() + budget_s
        for _ in self._walk:
            if time.monotonic() > deadline:
                return

    def oldest(self) -> Candidate | None:
        """Return the settled file with the oldest change, with its parts and sidecar; None if every file waits."""
        found = self._ready.oldest(self._is_free)
        if found is None:
            return None
        parts = tuple(self._further_parts(found.relative))
        return Candidate(self.settings, found, self._sidecars.settled(found.relative), parts)

    def _is_free(self, found: Found) -> bool:
        return not self._sidecars.must_wait(found.relative) and self._chapters.run(found.relative) is not None

    def _further_parts(self, relative: str) -> Iterator[Found]:
        """Yield the further parts of a recording, up to one with a sidecar: that one is a recording of its own."""
        run = self._chapters.run(relative) or ()
        return takewhile(lambda part: not self._sidecars.of(part.relative), run[1:])

    def open_joint(self) -> Joint | None:
        """Return two complete files that must be compared: does the recording go on in the second one?"""
        return next(filter(self._may_compare, self._chapters.open_joints()), None)

    def _may_compare(self, joint: Joint) -> bool:
        return all(self._admits(Candidate(self.settings, found)) for found in (joint.first, joint.second))

    def _admits(self, candidate: Candidate) -> bool:
        return self._holds.admit(candidate) and self._arrivals.admit(candidate.found)

    def decide(self, joint: Joint, *, follows: bool) -> None:
        """Record the result of a comparison."""
        self._chapters.decide(joint, follows=follows)

    def in_order(self, most: int) -> list[Found]:
        """Return the first ``most`` settled files, in the order in which they will be claimed."""
        return [found for found in self._ready.first(most) if self._chapters.run(found.relative) is not None]

    def may_take(self, candidate: Candidate) -> bool:
        """Return whether the file may be claimed now: permitted and complete. If not, later scans check it again."""
        parts = [Candidate(self.settings, part) for part in candidate.parts]
        admitted = all(map(self._admits, (candidate, *parts)))
        if not admitted:
            self._ready.drop(candidate.relative)
        return admitted

    def not_taken(self, candidate: Candidate, error: OSError) -> None:
        """Record that the file could not be claimed: it must settle again, or waits for permission."""
        if self._holds.refuse(candidate, error):
            self._ready.drop(candidate.relative)
        else:
            self.forget(candidate.relative)
            self.log_once(candidate.relative, f"not yet: {error.strerror}")

    def taken(self, candidate: Candidate) -> None:
        """Forget a recording that was claimed, with its parts."""
        for found in (candidate.found, *candidate.parts):
            self.forget(found.relative)

    def forget(self, relative: str) -> None:
        """Forget a file that was claimed, is gone, or must settle again."""
        self._drop(relative)
        self._tracker.forget(relative)
        self._chapters.forget(relative)

    def _scan(self) -> Iterator[None]:
        """Run one scan, one entry per step. The time between steps does not count as scan time."""
        resumed, took_s, before = self._clock(), 0.0, len(self._ready) + len(self._settling)
        try:
            walk = Walk(self.folder, self._extensions)
            present: set[str] = set()
            ignored: dict[str, SkipReason] = {}
            for entry in walk:
                if isinstance(entry, Found):
                    present.add(entry.relative)
                    self._observe(entry)
                elif isinstance(entry, Ignored):
                    self._ignore(entry, ignored)
                took_s += self._clock() - resumed
                yield
                resumed = self._clock()
            self._ignored = ignored
            if walk.complete:
                self._forget_all_but(present)
        finally:
            self._walk = None
            changed = len(self._ready) + len(self._settling) != before
            self._schedule_next(changed=changed, took_s=took_s)

    def _observe(self, found: Found) -> None:
        settled = self._tracker.observe(found.relative, found.signature) or bool(found.fault)
        if not settled:
            self._drop(found.relative)
            (self._settling if found.signature.size else self._empty).add(found.relative)
        else:
            self._settling.discard(found.relative)
            self._empty.discard(found.relative)
        if found.is_sidecar:
            self._sidecars.see(found, settled=settled)
            return
        self._sidecars.see_recording(found.relative)
        self._chapters.see(found, settled=settled)
        if settled and not self._holds.holds(found.relative) and not self._arrivals.holds(found):
            self._ready.put(found)

    def _ignore(self, entry: Ignored, ignored: dict[str, SkipReason]) -> None:
        self.log_once(entry.relative, entry.reason.value)
        if len(ignored) < _IGNORED_AT_MOST:
            ignored[entry.relative] = entry.reason

    def _drop(self, relative: str) -> None:
        self._ready.drop(relative)
        self._holds.forget(relative)
        self._arrivals.forget(relative)
        self._sidecars.forget(relative)
        self._settling.discard(relative)
        self._empty.discard(relative)

    def _forget_all_but(self, present: set[str]) -> None:
        known = self._ready.keys() | self._sidecars.keys() | self._settling | self._empty
        for relative in known - present:
            self.forget(relative)

    def _schedule_next(self, *, changed: bool, took_s: float) -> None:
        settling = bool(self._settling)
        self._interval_s = self._schedule.next_s(self._interval_s, settling=settling, changed=changed, took_s=took_s)
        self._next_at = self._clock() + self._interval_s

    def log_once(self, relative: str, reason: str) -> None:
        """Log once why a file is not claimed."""
        if relative not in self._logged and len(self._logged) < _LOGGED_AT_MOST:
            self._logged.add(relative)
            log.info("left alone", file=printable(relative), inbox=self.settings.path, reason=reason)


def inboxes(settings: Settings, quiet_s: float, clock: Clock) -> list[Inbox]:
    """Return the inboxes of a configuration.

    Args:
        quiet_s: how long a file must not change there.
    """
    return [
        Inbox(
            inbox,
            inbox_folder(settings, inbox),
            settings.scan,
            settings.settle,
            quiet_s=quiet_s,
            clock=clock,
            joins=settings.profiles[inbox.profile].join == "auto",
        )
        for inbox in settings.inboxes
    ]
