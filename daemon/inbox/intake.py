"""All inboxes together, and the choice of the next file: highest priority first, inboxes in turn, the oldest first."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

from daemon.inbox.candidate import Candidate
from daemon.inbox.inbox import Inbox
from daemon.inbox.scanner import Found

Key = TypeVar("Key", bound=Hashable)


class RoundRobin(Generic[Key]):
    """Round robin among keys of equal priority: the one that has waited longest is next."""

    def __init__(self) -> None:
        self._turns: dict[Key, int] = {}
        self._count = 0

    def choose(self, waiting: Iterable[tuple[Key, int]]) -> Key | None:
        """Return the next key, and count this as its turn.

        Args:
            waiting: pairs of key and priority.

        Returns:
            None if nothing waits.
        """
        keys = sorted(waiting, key=lambda pair: (-pair[1], self._turns.get(pair[0], 0)))
        if not keys:
            return None
        self._count += 1
        self._turns[keys[0][0]] = self._count
        return keys[0][0]

    def copy(self) -> RoundRobin[Key]:
        """Return a copy with the same turns, to predict what comes next."""
        twin: RoundRobin[Key] = RoundRobin()
        twin._turns, twin._count = dict(self._turns), self._count
        return twin


class Intake:
    """All inboxes of the service; chooses the next candidate."""

    def __init__(self, inboxes: list[Inbox]) -> None:
        self.inboxes = inboxes
        self._turns: RoundRobin[Inbox] = RoundRobin()

    def replace(self, inboxes: list[Inbox]) -> None:
        """Use other inboxes from now on, in which all files settle again."""
        self.inboxes = inboxes

    @property
    def ready(self) -> int:
        """The number of settled files."""
        return sum(inbox.ready for inbox in self.inboxes)

    @property
    def settling(self) -> int:
        """The number of files that still change."""
        return sum(inbox.settling for inbox in self.inboxes)

    @property
    def next_at(self) -> float:
        """Monotonic time of the next slice of work."""
        return min(inbox.next_at for inbox in self.inboxes)

    def wake(self) -> None:
        """Scan all inboxes as soon as their schedules permit."""
        for inbox in self.inboxes:
            inbox.wake()

    def advance(self, budget_s: float) -> None:
        """Scan each inbox for its part of ``budget_s`` seconds, so that a large one does not delay the others.

        Raises:
            OSError: an inbox cannot be read.
        """
        for inbox in self.inboxes:
            inbox.advance(budget_s / len(self.inboxes))

    def choose(self) -> tuple[Inbox, Candidate] | None:
        """Return the next file to be claimed, with its inbox; None if there is none."""
        oldest = {inbox: candidate for inbox in self.inboxes if (candidate := inbox.oldest())}
        inbox = self._turns.choose((inbox, inbox.settings.priority) for inbox in oldest)
        return (inbox, oldest[inbox]) if inbox else None

    def upcoming(self, most: int) -> list[tuple[Inbox, Found]]:
        """Return the next ``most`` files in the order in which they will be claimed, as far as it is known now."""
        lines = {inbox: deque(inbox.in_order(most)) for inbox in self.inboxes}
        turns, found = self._turns.copy(), list[tuple[Inbox, Found]]()
        while len(found) < most:
            inbox = turns.choose((inbox, inbox.settings.priority) for inbox, line in lines.items() if line)
            if inbox is None:
                break
            found.append((inbox, lines[inbox].popleft()))
        return found
