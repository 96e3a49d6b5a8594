"""From what lies in the inboxes to the next file to be claimed: scanning in slices, settling, and fair turns."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from daemon.clock import Clock
from daemon.config.settings import InboxSettings, ScanSettings, Settings, SettleSettings
from daemon.errors import DaemonError
from daemon.inbox.arrivals import Arrivals, PartsArriveError, Waiting
from daemon.inbox.candidate import Candidate
from daemon.inbox.chapter_groups import ChapterGroups, Joint
from daemon.inbox.permissions import PermissionHolds
from daemon.inbox.ready_queue import ByAge
from daemon.inbox.scanner import Found, LeftAlone, SkipReason, Walk
from daemon.inbox.sidecars import Sidecars
from daemon.inbox.stability import SettleTracker
from daemon.share.naming import printable
from daemon.share.share import inbox_folder

_LOGGED_AT_MOST = 10_000
_IGNORED_AT_MOST = 100  # that are told by name
_SCAN_SHARE = 0.2  # scans of a large or slow inbox may take this part of the time
_BUSY_SHARE = 0.5  # the same while files settle there

_PARTS_ARRIVE = PartsArriveError("The recording may go on in a further part: it is looked for and compared.")

log = structlog.get_logger(__name__)

Key = TypeVar("Key", bound=Hashable)


class RoundRobin(Generic[Key]):
    """Round robin among equals: of the inboxes with the highest priority, the one that waited longest."""

    def __init__(self) -> None:
        self._turns: dict[Key, int] = {}
        self._count = 0

    def choose(self, waiting: Iterable[tuple[Key, int]]) -> Key | None:
        """Choose among (key, priority) pairs; None where there are none. The choice counts as a turn."""
        keys = sorted(waiting, key=lambda pair: (-pair[1], self._turns.get(pair[0], 0)))
        if not keys:
            return None
        self._count += 1
        self._turns[keys[0][0]] = self._count
        return keys[0][0]

    def copy(self) -> RoundRobin[Key]:
        """The same turns, to play through what comes next."""
        twin: RoundRobin[Key] = RoundRobin()
        twin._turns, twin._count = dict(self._turns), self._count
        return twin


@dataclass(frozen=True, slots=True)
class Pace:
    """When an inbox is scanned next: often while files settle, ever more rarely where nothing happens."""

    scan: ScanSettings
    quiet_s: float
    polls: int

    def busy_s(self) -> float:
        """Interval while files settle: enough polls in the quiet time, no more."""
        return min(max(self.quiet_s / (self.polls + 1), self.scan.min_interval_s), self.scan.max_interval_s)

    def next_s(self, last_s: float, *, settling: bool, changed: bool, took_s: float) -> float:
        """Time until the next scan, from the last interval and what the last scan saw and cost."""
        if settling or changed:
            return max(self.busy_s(), took_s / _BUSY_SHARE)
        return max(min(last_s * 2, self.scan.max_interval_s), took_s / _SCAN_SHARE)


class Inbox:
    """One watched folder: which files lie in it, and which of them are settled."""

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
        self._pace = Pace(scan, quiet_s, settle.polls)
        self._clock = clock
        self._ready = ByAge()
        self._barred = PermissionHolds(folder, clock)
        self._arrivals = Arrivals(folder, settle.unfinished_s, clock)
        self._sidecars = Sidecars()
        self._chapters = ChapterGroups(settle.chapters_s, clock, joins=joins)
        self._settling: set[str] = set()
        self._empty: set[str] = set()  # may stay so for minutes: no reason to scan often
        self._ignored: dict[str, SkipReason] = {}
        self._logged: set[str] = set()
        self._walk: Iterator[None] | None = None
        self._interval_s = scan.min_interval_s
        self._next_at = clock()

    @property
    def ready(self) -> int:
        return len(self._ready)

    @property
    def settling(self) -> int:
        return len(self._settling)

    @property
    def arriving(self) -> list[str]:
        """Files that are still being copied."""
        return sorted(self._settling)

    @property
    def empty(self) -> list[str]:
        """Files without content, which may still get some."""
        return sorted(self._empty)

    @property
    def forbidden(self) -> Mapping[str, DaemonError]:
        """Files that keep a recording waiting, and what the service is forbidden to do with them."""
        return {**self._barred.reasons, **self._sidecars.unclear()}

    @property
    def unfinished(self) -> Mapping[str, Waiting]:
        """Files that have stopped to grow but are not whole, or may go on in another file."""
        parts = {file: Waiting(_PARTS_ARRIVE, since) for file, since in self._chapters.waiting().items()}
        return {**parts, **self._arrivals.reasons}

    @property
    def ignored(self) -> dict[str, SkipReason]:
        """What the last pass has left alone, and why."""
        return self._ignored

    @property
    def next_at(self) -> float:
        """Monotonic time of the next slice of work."""
        return self._clock() if self._walk is not None else self._next_at

    def wake(self) -> None:
        """Something happened in the folder: scan as soon as the pace allows."""
        self._interval_s = self._pace.scan.min_interval_s
        self._next_at = min(self._next_at, self._clock() + self._interval_s)

    def advance(self, budget_s: float) -> None:
        """Scan for at most ``budget_s``, if it is time.

        Raises:
            OSError: the inbox itself cannot be read.
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
        """The settled file that was last changed longest ago; one whose sidecar has not settled must wait for it."""
        found = self._ready.oldest(self._is_free)
        if found is None:
            return None
        parts = tuple(self._further_parts(found.relative))
        return Candidate(self.settings, found, self._sidecars.settled(found.relative), parts)

    def _is_free(self, found: Found) -> bool:
        return not self._sidecars.hold_up(found.relative) and self._chapters.run(found.relative) is not None

    def _further_parts(self, relative: str) -> Iterator[Found]:
        """Those that go along; who writes a sidecar for a part wants it by itself."""
        run = self._chapters.run(relative) or ()
        return takewhile(lambda part: not self._sidecars.of(part.relative), run[1:])

    def open_joint(self) -> Joint | None:
        """Two files, both whole, of which has to be found out whether one goes on in the other."""
        return next(filter(self._may_compare, self._chapters.open_joints()), None)

    def _may_compare(self, joint: Joint) -> bool:
        return all(self._admits(Candidate(self.settings, found)) for found in (joint.first, joint.second))

    def _admits(self, candidate: Candidate) -> bool:
        return self._barred.admit(candidate) and self._arrivals.admit(candidate.found)

    def decide(self, joint: Joint, *, follows: bool) -> None:
        """What was found out about a joint."""
        self._chapters.decide(joint, follows=follows)

    def in_order(self, most: int) -> list[Found]:
        """The first settled files, in the order in which they will be taken."""
        return [found for found in self._ready.first(most) if self._chapters.run(found.relative) is not None]

    def may_take(self, candidate: Candidate) -> bool:
        """Whether permissions let it be taken and it is whole; if not, it stays, and scans offer it once that is so."""
        parts = [Candidate(self.settings, part) for part in candidate.parts]
        admitted = all(map(self._admits, (candidate, *parts)))
        if not admitted:
            self._ready.drop(candidate.relative)
        return admitted

    def not_taken(self, candidate: Candidate, error: OSError) -> None:
        """It could not be claimed: it must settle anew, or waits for longer where the reason lasts."""
        if self._barred.refuse(candidate, error):
            self._ready.drop(candidate.relative)
        else:
            self.forget(candidate.relative)
            self.log_once(candidate.relative, f"not yet: {error.strerror}")

    def forget(self, relative: str) -> None:
        """The file has been claimed, or has gone, or cannot be claimed yet: if seen again it must settle anew."""
        self._drop(relative)
        self._tracker.forget(relative)
        self._chapters.forget(relative)

    def _scan(self) -> Iterator[None]:
        """One pass, an entry a step. What others do between the steps does not count as its time."""
        resumed, took_s, before = self._clock(), 0.0, len(self._ready) + len(self._settling)
        try:
            walk = Walk(self.folder, self._extensions)
            present: set[str] = set()
            ignored: dict[str, SkipReason] = {}
            for entry in walk:
                if isinstance(entry, Found):
                    present.add(entry.relative)
                    self._observe(entry)
                elif isinstance(entry, LeftAlone):
                    self._leave_alone(entry, ignored)
                took_s += self._clock() - resumed
                yield
                resumed = self._clock()
            self._ignored = ignored
            if walk.complete:
                self._forget_all_but(present)
        finally:
            self._walk = None
            changed = len(self._ready) + len(self._settling) != before
            self._plan_next(changed=changed, took_s=took_s)

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
        if settled and not self._barred.holds(found.relative) and not self._arrivals.holds(found):
            self._ready.put(found)

    def _leave_alone(self, entry: LeftAlone, ignored: dict[str, SkipReason]) -> None:
        self.log_once(entry.relative, entry.reason.value)
        if len(ignored) < _IGNORED_AT_MOST:
            ignored[entry.relative] = entry.reason

    def _drop(self, relative: str) -> None:
        self._ready.drop(relative)
        self._barred.forget(relative)
        self._arrivals.forget(relative)
        self._sidecars.forget(relative)
        self._settling.discard(relative)
        self._empty.discard(relative)

    def _forget_all_but(self, present: set[str]) -> None:
        known = self._ready.keys() | self._sidecars.keys() | self._settling | self._empty
        for relative in known - present:
            self.forget(relative)

    def _plan_next(self, *, changed: bool, took_s: float) -> None:
        settling = bool(self._settling)
        self._interval_s = self._pace.next_s(self._interval_s, settling=settling, changed=changed, took_s=took_s)
        self._next_at = self._clock() + self._interval_s

    def log_once(self, relative: str, reason: str) -> None:
        """Say why a file is not taken, the first time only."""
        if relative not in self._logged and len(self._logged) < _LOGGED_AT_MOST:
            self._logged.add(relative)
            log.info("left alone", file=printable(relative), inbox=self.settings.path, reason=reason)


def inboxes(settings: Settings, quiet_s: float, clock: Clock) -> list[Inbox]:
    """The inboxes of a configuration.

    Args:
        quiet_s: the time without change that a file must show there.
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


class Intake:
    """All inboxes of the service."""

    def __init__(self, inboxes: list[Inbox]) -> None:
        self.inboxes = inboxes
        self._turns: RoundRobin[Inbox] = RoundRobin()

    def replace(self, inboxes: list[Inbox]) -> None:
        """Go on with other inboxes, in which all files settle again."""
        self.inboxes = inboxes

    @property
    def ready(self) -> int:
        return sum(inbox.ready for inbox in self.inboxes)

    @property
    def settling(self) -> int:
        return sum(inbox.settling for inbox in self.inboxes)

    @property
    def next_at(self) -> float:
        return min(inbox.next_at for inbox in self.inboxes)

    def wake(self) -> None:
        for inbox in self.inboxes:
            inbox.wake()

    def advance(self, budget_s: float) -> None:
        """A slice of scanning in every inbox, so that a large one does not hold up the others.

        Raises:
            OSError: an inbox cannot be read.
        """
        for inbox in self.inboxes:
            inbox.advance(budget_s / len(self.inboxes))

    def choose(self) -> tuple[Inbox, Candidate] | None:
        """The next file to be claimed: highest priority first, inboxes in turn, oldest first."""
        oldest = {inbox: candidate for inbox in self.inboxes if (candidate := inbox.oldest())}
        inbox = self._turns.choose((inbox, inbox.settings.priority) for inbox in oldest)
        return (inbox, oldest[inbox]) if inbox else None

    def upcoming(self, most: int) -> list[tuple[Inbox, Found]]:
        """The next files in the order in which they will be claimed, as far as that can be told now."""
        lines = {inbox: deque(inbox.in_order(most)) for inbox in self.inboxes}
        turns, found = self._turns.copy(), list[tuple[Inbox, Found]]()
        while len(found) < most:
            inbox = turns.choose((inbox, inbox.settings.priority) for inbox, line in lines.items() if line)
            if inbox is None:
                break
            found.append((inbox, lines[inbox].popleft()))
        return found
