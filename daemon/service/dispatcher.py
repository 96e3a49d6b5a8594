"""Which job starts when and where: room, priorities, start conditions and places."""

from __future__ import annotations

from collections.abc import Callable

from daemon.executor.protocol import Executor, Place
from daemon.jobs import attempts, fault_policy, placement
from daemon.jobs.class_waits import ClassWaits
from daemon.jobs.held_jobs import HeldJob
from daemon.jobs.manifest import JobState
from daemon.service.job_overview import JobOverview

_STARTS_AT_ONCE = 8  # files that cannot be claimed must not hold up the loop
_HELD_BEYOND_SLOTS = 16  # claimed jobs that may wait (such as for space) before further files stay in the inboxes


class Dispatcher:
    """Starts jobs while there is room for them.

    Args:
        classes: decides how long jobs wait for a place of their compute class.
        start: starts an attempt of a job at a place.
        claim: claims the next file of the inboxes; returns False if there is none.
        ready: returns the number of files in the inboxes that may be claimed.
    """

    def __init__(
        self,
        jobs: JobOverview,
        executor: Executor,
        classes: ClassWaits,
        *,
        start: Callable[[HeldJob, Place], None],
        claim: Callable[[], bool],
        ready: Callable[[], int],
    ) -> None:
        self._jobs = jobs
        self._executor = executor
        self._classes = classes
        self._start = start
        self._claim = claim
        self._ready = ready

    def start_jobs(self, *, may_start: bool, may_claim: bool = True, may_resume: bool = False) -> None:
        """Start as many jobs as there is room for, a few in one call.

        Args:
            may_start: whether claimed jobs may start.
            may_claim: whether files may be claimed, too.
            may_resume: whether jobs that were interrupted for lack of space may go on even if others may not start.
        """
        for _ in range(_STARTS_AT_ONCE):
            may = may_start or (may_resume and any(held.lacks_space for held in self._jobs.waiting()))
            places = self._open_places() if may else []
            if not (places and self._start_one(places, may_start=may_start, may_claim=may_claim)):
                break

    def lacks_place(self, *, may_claim: bool) -> bool:
        """Return whether a job, or a file that may be claimed, waits only because all places are taken."""
        if any(self._executor.room(place) for place in self._executor.places):
            return False
        return bool(self._queued()) or (may_claim and self._ready() > 0)

    def _queued(self) -> list[HeldJob]:
        return [held for held in self._jobs.waiting() if held.job.manifest.state is JobState.QUEUED and held.due]

    def _open_places(self) -> list[Place]:
        """Return the places where one more job may start."""
        if any(_runs_alone(held) for held, _ in self._jobs.running()):
            return []
        executor = self._executor
        with_room = [place for place in executor.places if executor.room(place)]
        return placement.without_degraded(with_room, self._jobs.placed())

    def _start_one(self, places: list[Place], *, may_start: bool, may_claim: bool) -> bool:
        """Start the next claimed job, or else claim a file; return False if there was nothing to do."""
        queued = [held for held in self._queued() if may_start or held.lacks_space]
        if not queued:
            return may_claim and len(self._jobs) < self._executor.slots + _HELD_BEYOND_SLOTS and self._claim()
        for held in sorted(queued, key=lambda held: (-held.job.manifest.priority, held.job.manifest.claimed_at_s)):
            if _runs_alone(held) and self._jobs.workers:
                return False
            if place := self._place_for(held, places):
                self._start(held, place)
                return True
        return False

    def _place_for(self, held: HeldJob, places: list[Place]) -> Place | None:
        """Return the best of the places with room; None if the job waits for one of its compute class."""
        manifest = held.job.manifest
        places = self._classes.fitting(held, places, self._executor.places)
        avoid = fault_policy.place_to_avoid((manifest.node, manifest.gpu), held.code)
        return placement.choose(places, [taken for taken, _ in self._jobs.placed()], avoid)


def _runs_alone(held: HeldJob) -> bool:
    return fault_policy.runs_alone(attempts.counts(held.job.manifest))
