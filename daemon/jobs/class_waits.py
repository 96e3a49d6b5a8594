"""How long a job waits for a place on which it can go on: one of the compute class that has rendered its segments."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.clock import Clock
from daemon.config.settings import Settings
from daemon.errors import NoNodeOfClassError
from daemon.executor.protocol import Place
from daemon.jobs import attempts
from daemon.jobs.held_jobs import HeldJob
from daemon.worker.protocol import Failed


class ClassWaits:
    """Lets jobs wait for their class, and lets them start anew elsewhere when that takes too long."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._clock = clock
        self.apply(settings)

    def apply(self, settings: Settings) -> None:
        """Use another time from now on."""
        self._wait_s = settings.cluster.class_wait_s

    def fitting(self, held: HeldJob, places: Sequence[Place], known: Sequence[Place]) -> list[Place]:
        """Return the places at which a job may start.

        Args:
            places: those with room.
            known: all that there are; while one has the job's class, the job waits for room there.
        """
        wanted = attempts.wanted_class(held.job)
        if not wanted or any(place.compute_class in ("", wanted) for place in known):
            held.classless_since = None
            held.show(None)
            return [place for place in places if not wanted or place.compute_class in ("", wanted)]
        if held.classless_since is None:
            held.classless_since = self._clock()
        if self._clock() - held.classless_since >= self._wait_s:
            held.log.warning("job starts anew on another compute class", wanted=wanted)
            return list(places)
        message = f"No node of the compute class {wanted} is there, on which this job began."
        held.show(Failed.of(NoNodeOfClassError(message)))
        return []
