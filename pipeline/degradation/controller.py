"""Degradation of one job: trouble goes to its breaker, and the job goes on from its last segment at another level.

Where the disk lacks space, the level stays what it is: the job waits, and goes on as if nothing had been.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import structlog

from engines.errors import ExplainedError
from pipeline.degradation.level_ladder import CircuitBreaker, DegradationTrigger, Level, Step
from pipeline.degradation.space import Room
from pipeline.degradation.triggers import SegmentFacts, judge, trip_of
from pipeline.degradation.workload import Workload, workload
from pipeline.errors import JobStopped
from pipeline.job import StopCheck
from pipeline.segments.checkpoint import Checkpoint
from pipeline.settings import DegradationSettings

_BEAT_S = 0.2

log = structlog.get_logger(__name__)


class LevelChanged(Exception):
    """No error: the level changes at a segment's end, or space is lacking, and work goes on from the checkpoint."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the output at one level; a pause has no length in it."""

    from_s: float
    to_s: float
    level: Level
    reason: str

    @property
    def lowers_quality(self) -> bool:
        """Whether the result is another one because of it; after a pause it is the same."""
        return self.level is not Level.PAUSE


class Degradation:
    """The breaker of a job, kept in its checkpoint.

    Args:
        time_base: of the checkpoint's pts.
        clock: monotonic seconds.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        settings: DegradationSettings,
        work_dir: Path,
        checkpoint: Checkpoint,
        time_base: Fraction,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._settings = settings
        self._work_dir = work_dir
        self._room = Room(work_dir, settings, clock=clock, sleep=sleep)
        self._checkpoint = checkpoint
        self._time_base = time_base
        self._sleep = sleep
        self._breaker = CircuitBreaker(settings, clock)
        self._pending: DegradationTrigger | None = None
        if checkpoint.breaker:
            self._breaker.restore(checkpoint.breaker)

    @property
    def level(self) -> Level:
        return self._breaker.level

    @property
    def workload(self) -> Workload:
        return workload(self.level, self._settings)

    @property
    def trip(self) -> DegradationTrigger | None:
        """Why the level is not normal, or about to change."""
        return self._pending or self._breaker.trip

    @property
    def reason(self) -> str:
        return self.trip.reason if self.trip else ""

    @property
    def lacks_space(self) -> str:
        """What is lacking on the disk while that is waited for, in words; else ""."""
        return self._room.reason

    @property
    def at_s(self) -> float:
        """Length of the output so far."""
        segments = self._checkpoint.segments
        if not segments:
            return 0.0
        ticks = segments[-1].last_pts + segments[-1].last_duration - segments[0].first_pts
        return round(float(ticks * self._time_base), 3)

    def accepts(self, error: Exception) -> bool:
        """Whether the job may go on after an error. Then ``ready`` waits for space, or what is left of a cool-down."""
        if self.is_refused(error):
            return True
        trip = trip_of(error)
        if trip is None or not self._helps(trip):
            return False
        self._pending = trip
        log.info("work broke off", trip=trip.kind.value, reason=trip.reason, degradation=self.level.value)
        return True

    def is_refused(self, error: Exception) -> bool:
        """Whether an error comes from want of space, for which ``wait_for_space`` then waits."""
        return self._room.refuses(error)

    def _helps(self, trip: DegradationTrigger) -> bool:
        """Whether there is a lower level for it, which is not one pause too many."""
        lower, lowest = self.level.rank + 1, self._breaker.lowest(trip.kind).rank
        if lower > lowest:
            return False
        return lower < Level.PAUSE.rank or not self._is_hopeless

    @property
    def _is_hopeless(self) -> bool:
        return self._breaker.fruitless_pauses >= self._settings.pauses_max

    def ready(self, *, should_stop: StopCheck, on_wait: Callable[[], None]) -> None:
        """Wait until there is space and the device may be used, without using it.

        Args:
            on_wait: called several times a second meanwhile.

        Raises:
            JobStopped: asked to stop.
            DiskFullError: the disk stays too full; another attempt may find more room.
        """
        self.wait_for_space(should_stop=should_stop, on_wait=on_wait)
        while self._pending is not None or self.level is Level.PAUSE:
            on_wait()
            if should_stop():
                raise JobStopped("the job was asked to stop while it waited, and will go on from its last segment")
            if self._breaker.wait_s > 0:
                self._sleep(min(_BEAT_S, self._breaker.wait_s))
            elif self._pending is not None:
                trip, self._pending = self._pending, None
                self._note(self._breaker.record_trip(trip))
            else:
                self._note(self._breaker.end_pause())

    def wait_for_space(
        self, needed_bytes: int = 0, what_for: str = "", *, should_stop: StopCheck, on_wait: Callable[[], None]
    ) -> None:
        """Wait until there is room on the disk (see ``Room.wait``); for the report, that is a pause."""
        waited = False

        def waiting() -> None:
            nonlocal waited
            if not waited:
                self._note_pause()
                log.warning("job waits for space", at_s=self.at_s, reason=self.lacks_space)
            waited = True
            on_wait()

        try:
            self._room.wait(needed_bytes=needed_bytes, what_for=what_for, should_stop=should_stop, on_wait=waiting)
        finally:
            if waited:
                self._save()
        if waited:
            log.info("job goes on, there is space", at_s=self.at_s)

    def _note_pause(self) -> None:
        """Keep a pause for the report; several at one place, of attempts that each waited for a while, are one."""
        pauses = self._checkpoint.pauses
        if not pauses or pauses[-1][0] != self.at_s:
            pauses.append((self.at_s, self.lacks_space))

    def judge(self, facts: SegmentFacts) -> bool:
        """Take note of a finished segment; whether the work is to be broken off. The caller saves the checkpoint."""
        trip = judge(facts, self._settings)
        step = self._breaker.record_clean() if trip is None else self._breaker.record_trip(trip)
        self._checkpoint.breaker = self._breaker.to_json()
        self._room.worked()
        if step is not None:
            self._announce(step)
        return step is not None or bool(self._room.low())

    def _note(self, step: Step | None) -> None:
        self._checkpoint.breaker = self._breaker.to_json()
        if step is not None:
            self._announce(step)
        self._save()

    def _save(self) -> None:
        try:
            self._checkpoint.save(self._work_dir)
        except ExplainedError as error:  # the disk, perhaps, is the trouble; the next segment saves it
            log.debug("checkpoint not saved", reason=error.message)

    def _announce(self, step: Step) -> None:
        at_s = self.at_s
        if step.after is Level.PAUSE:
            self._checkpoint.pauses.append((at_s, self.reason))
        if step.is_down:
            log.warning("job degraded", at_s=at_s, **_told(step, self._breaker.trip), reason=self.reason)
        else:
            log.info("job recovers", at_s=at_s, **_told(step, self._breaker.trip))


def _told(step: Step, trip: DegradationTrigger | None) -> dict[str, str]:
    return {"degradation": step.after.value, "before": step.before.value, "trip": trip.kind.value if trip else ""}


def spans(checkpoint: Checkpoint, time_base: Fraction) -> list[Span]:
    """The stretches of a finished job that are not normal work, and its pauses, in order."""
    found = [Span(at_s, at_s, Level.PAUSE, reason) for at_s, reason in checkpoint.pauses]
    begin = checkpoint.segments[0].first_pts
    stretch: Span | None = None
    for record in checkpoint.segments:
        from_s = round(float((record.first_pts - begin) * time_base), 3)
        to_s = round(float((record.last_pts + record.last_duration - begin) * time_base), 3)
        if stretch and (record.level, record.reason) == (stretch.level, stretch.reason):
            stretch = Span(stretch.from_s, to_s, stretch.level, stretch.reason)
        else:
            found += [] if stretch is None else [stretch]
            stretch = Span(from_s, to_s, Level(record.level), record.reason)
    found += [] if stretch is None else [stretch]
    return sorted((s for s in found if s.level is not Level.NORMAL), key=lambda s: s.from_s)
