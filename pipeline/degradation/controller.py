"""Applies the level ladder to one job: an error or a slow segment changes the level, and the job goes on from there.

A lack of disk space does not change the level. The job waits, and goes on from its last segment.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import structlog

from engines.errors import ExplainedError
from pipeline.degradation.level_ladder import DegradationTrigger, Level, LevelLadder, Step
from pipeline.degradation.space import DiskSpace
from pipeline.degradation.triggers import SegmentFacts, trigger_in, trigger_of
from pipeline.degradation.workload import Workload, workload
from pipeline.interruption import Interruption
from pipeline.segments.checkpoint import Checkpoint
from pipeline.settings import DegradationSettings

_POLL_S = 0.2

log = structlog.get_logger(__name__)


class LevelChanged(Exception):
    """Not an error: rendering must begin again at the checkpoint, at another level or with enough space."""


@dataclass(frozen=True, slots=True)
class LevelSpan:
    """A stretch of the output at one level. A pause has no length."""

    from_s: float
    to_s: float
    level: Level
    reason: str

    @property
    def lowers_quality(self) -> bool:
        """Whether the output differs because of it; a pause changes nothing."""
        return self.level is not Level.PAUSE


class Degradation:
    """The level of one job, kept in its checkpoint.

    Args:
        time_base: of the checkpoint's pts.
        clock: monotonic seconds.
        sleep: waits for a number of seconds.
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
        self._space = DiskSpace(work_dir, settings, clock=clock, sleep=sleep)
        self._checkpoint = checkpoint
        self._time_base = time_base
        self._sleep = sleep
        self._ladder = LevelLadder(settings, clock)
        self._pending: DegradationTrigger | None = None
        if checkpoint.breaker:
            self._ladder.restore(checkpoint.breaker)

    @property
    def level(self) -> Level:
        return self._ladder.level

    @property
    def workload(self) -> Workload:
        return workload(self.level, self._settings)

    @property
    def trigger(self) -> DegradationTrigger | None:
        """Why the level is not normal, or is about to change."""
        return self._pending or self._ladder.trigger

    @property
    def reason(self) -> str:
        return self.trigger.reason if self.trigger else ""

    @property
    def space_shortage(self) -> str:
        """What is lacking on the disk while the job waits for it, in words; else ""."""
        return self._space.reason

    @property
    def at_s(self) -> float:
        """Length of the output so far, in seconds."""
        segments = self._checkpoint.segments
        if not segments:
            return 0.0
        ticks = segments[-1].last_pts + segments[-1].last_duration - segments[0].first_pts
        return round(float(ticks * self._time_base), 3)

    def accepts(self, error: Exception) -> bool:
        """Return whether the job can go on after an error, once ``wait_until_ready`` has returned."""
        if self.is_lack_of_space(error):
            return True
        trigger = trigger_of(error)
        if trigger is None or not self._has_lower_level_for(trigger):
            return False
        self._pending = trigger
        log.info("work broke off", trip=trigger.kind.value, reason=trigger.reason, degradation=self.level.value)
        return True

    def is_lack_of_space(self, error: Exception) -> bool:
        """Return whether a full disk caused an error; ``wait_for_space`` then waits before the next try."""
        return self._space.is_cause_of(error)

    def _has_lower_level_for(self, trigger: DegradationTrigger) -> bool:
        lower, lowest = self.level.rank + 1, self._ladder.lowest(trigger.kind).rank
        if lower > lowest:
            return False
        return lower < Level.PAUSE.rank or self._ladder.fruitless_pauses < self._settings.pauses_max

    def wait_until_ready(self, interruption: Interruption, on_wait: Callable[[], None]) -> None:
        """Wait until there is enough space and the cool-down or pause is over; the device must be closed meanwhile.

        Args:
            on_wait: called several times a second while the job waits.

        Raises:
            JobStopped: a stop is requested.
            DiskFullError: the disk stays too full; another attempt may find more space.
        """
        self.wait_for_space(interruption, on_wait)
        while self._pending is not None or self.level is Level.PAUSE:
            on_wait()
            interruption.check("while it waited, and will go on from its last segment")
            if self._ladder.wait_s > 0:
                self._sleep(min(_POLL_S, self._ladder.wait_s))
            elif self._pending is not None:
                trigger, self._pending = self._pending, None
                self._save_step(self._ladder.record_trigger(trigger))
            else:
                self._save_step(self._ladder.end_pause())

    def wait_for_space(
        self, interruption: Interruption, on_wait: Callable[[], None], needed_bytes: int = 0, what_for: str = ""
    ) -> None:
        """Wait until there is enough space on the disk (see ``DiskSpace.wait``). The report shows it as a pause."""
        waited = False

        def waiting() -> None:
            nonlocal waited
            if not waited:
                self._add_space_pause()
                log.warning("job waits for space", at_s=self.at_s, reason=self.space_shortage)
            waited = True
            on_wait()

        try:
            self._space.wait(interruption, waiting, needed_bytes=needed_bytes, what_for=what_for)
        finally:
            if waited:
                self._save()
        if waited:
            log.info("job goes on, there is space", at_s=self.at_s)

    def _add_space_pause(self) -> None:
        """Record a pause for the report; if several attempts wait at one place of the output, that is one pause."""
        pauses = self._checkpoint.pauses
        if not pauses or pauses[-1][0] != self.at_s:
            self._checkpoint.add_pause(self.at_s, self.space_shortage)

    def record_segment(self, facts: SegmentFacts) -> bool:
        """Record a finished segment; return whether rendering must be interrupted. The caller saves the checkpoint."""
        trigger = trigger_in(facts, self._settings)
        step = self._ladder.record_clean() if trigger is None else self._ladder.record_trigger(trigger)
        self._checkpoint.set_breaker(self._ladder.to_json())
        self._space.on_written()
        if step is not None:
            self._announce(step)
        return step is not None or bool(self._space.shortage())

    def _save_step(self, step: Step | None) -> None:
        self._checkpoint.set_breaker(self._ladder.to_json())
        if step is not None:
            self._announce(step)
        self._save()

    def _save(self) -> None:
        try:
            self._checkpoint.save(self._work_dir)
        except ExplainedError as error:  # perhaps the disk is the cause; the next segment saves it
            log.debug("checkpoint not saved", reason=error.message)

    def _announce(self, step: Step) -> None:
        at_s = self.at_s
        if step.after is Level.PAUSE:
            self._checkpoint.add_pause(at_s, self.reason)
        if step.is_down:
            log.warning("job degraded", at_s=at_s, **_log_fields(step, self._ladder.trigger), reason=self.reason)
        else:
            log.info("job recovers", at_s=at_s, **_log_fields(step, self._ladder.trigger))


def _log_fields(step: Step, trigger: DegradationTrigger | None) -> dict[str, str]:
    return {
        "degradation": step.after.value,
        "before": step.before.value,
        "trip": trigger.kind.value if trigger else "",
    }


def spans(checkpoint: Checkpoint, time_base: Fraction) -> list[LevelSpan]:
    """Return the stretches of a finished job at other levels than normal, and its pauses, in order."""
    found = [LevelSpan(at_s, at_s, Level.PAUSE, reason) for at_s, reason in checkpoint.pauses]
    begin = checkpoint.segments[0].first_pts
    stretch: LevelSpan | None = None
    for record in checkpoint.segments:
        from_s = round(float((record.first_pts - begin) * time_base), 3)
        to_s = round(float((record.last_pts + record.last_duration - begin) * time_base), 3)
        if stretch and (record.level, record.reason) == (stretch.level, stretch.reason):
            stretch = LevelSpan(stretch.from_s, to_s, stretch.level, stretch.reason)
        else:
            found += [] if stretch is None else [stretch]
            stretch = LevelSpan(from_s, to_s, Level(record.level), record.reason)
    found += [] if stretch is None else [stretch]
    return sorted((s for s in found if s.level is not Level.NORMAL), key=lambda s: s.from_s)
