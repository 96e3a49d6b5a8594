"""The level ladder of a job: how far its work is reduced, and when that may change. A pure state machine.

It is a circuit breaker (M. Nygard, "Release It!", 2007) with several levels in place of on and off:

    closed     normal work
    open       a trigger has led one step down; nothing changes until the cool-down is over
    half-open  on probation: enough clean segments lead one step up; a trigger leads down, with a longer cool-down

At the lowest level nothing is rendered, so no segment can be clean: there, the end of the cool-down leads one step up.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any

from pipeline.settings import DegradationSettings


class Level(StrEnum):
    """How far the work is reduced; the values are those of reports and of ``degradation.lowest``."""

    NORMAL = "normal"
    DOWNSCALE = "downscale"
    FRAME_SKIP = "frame_skip"
    PAUSE = "pause"

    @property
    def rank(self) -> int:
        return LADDER.index(self)


LADDER = tuple(Level)


class TriggerKind(StrEnum):
    """What leads one level down; ``degradation.lowest`` has a key for each."""

    OUT_OF_MEMORY = "out_of_memory"
    VRAM_GUARD = "vram_guard"
    DECODER_ERRORS = "decoder_errors"
    FRAME_LATENCY = "frame_latency"


class LadderState(Enum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True, slots=True)
class DegradationTrigger:
    """A cause for a lower level; ``reason`` is for people."""

    kind: TriggerKind
    reason: str


@dataclass(frozen=True, slots=True)
class Step:
    """A change by one level."""

    before: Level
    after: Level

    @property
    def is_down(self) -> bool:
        return self.after.rank > self.before.rank


class LevelLadder:
    """The level of one job and its history.

    Args:
        clock: monotonic seconds.

    Attributes:
        trigger: what led down last; None at the normal level.
        fruitless_pauses: pauses since the last clean segment.
    """

    def __init__(self, settings: DegradationSettings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._failures = 0
        self._clean = 0
        self._holds_until = -math.inf
        self.level = Level.NORMAL
        self.trigger: DegradationTrigger | None = None
        self.fruitless_pauses = 0

    @property
    def state(self) -> LadderState:
        if self.level is Level.NORMAL:
            return LadderState.CLOSED
        return LadderState.OPEN if self.wait_s > 0 else LadderState.HALF_OPEN

    @property
    def wait_s(self) -> float:
        """Return the time until the level may change."""
        return max(0.0, self._holds_until - self._clock())

    def lowest(self, kind: TriggerKind) -> Level:
        """Return the lowest level to which a kind of trigger may lead; ``NORMAL`` means that it leads nowhere."""
        return Level(getattr(self._settings.lowest, kind))

    def record_trigger(self, trigger: DegradationTrigger) -> Step | None:
        """Go one step down, unless the cool-down still runs or the trigger may lead no further.

        A trigger after the cool-down makes the next cool-down longer, also if it leads no further.
        """
        self._clean = 0
        lowest = self.lowest(trigger.kind)
        if self.wait_s > 0 or lowest is Level.NORMAL:
            return None
        self._failures += 1
        self._hold(self._cool_down_s())
        if self.level.rank >= lowest.rank:
            self._count_pause()
            return None
        self.trigger = trigger
        return self._move(1)

    def record_clean(self) -> Step | None:
        """Record a segment without a trigger; go one step up after enough of them."""
        self.fruitless_pauses = 0
        if self.state is LadderState.OPEN:
            return None
        self._clean += 1
        if self._clean < self._settings.probation_segments:
            return None
        self._clean = 0
        if self.level is Level.NORMAL:
            self._failures = 0
            return None
        return self._up()

    def end_pause(self) -> Step | None:
        """Go one step up for another try, if the cool-down of a pause is over."""
        if self.level is not Level.PAUSE or self.wait_s > 0:
            return None
        return self._up()

    def to_json(self) -> dict[str, Any]:
        """Return the state for a checkpoint; a time in it is the remaining time."""
        return {
            "level": self.level,
            "failures": self._failures,
            "clean": self._clean,
            "wait_s": self.wait_s,
            "fruitless_pauses": self.fruitless_pauses,
            "trip": None if self.trigger is None else [self.trigger.kind, self.trigger.reason],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue with the state of an earlier process. A pause is over: the device rested between the processes.

        The state is ignored if its trigger is of a kind that only an earlier version of the program knew.
        """
        if state["trip"] is not None and state["trip"][0] not in set(TriggerKind):
            return
        self.level = Level(state["level"])
        self._failures, self._clean = state["failures"], state["clean"]
        self.fruitless_pauses = state["fruitless_pauses"]
        self.trigger = (
            None if state["trip"] is None else DegradationTrigger(TriggerKind(state["trip"][0]), state["trip"][1])
        )
        self._holds_until = -math.inf
        if self.level is not Level.PAUSE:
            self._hold(state["wait_s"])

    def _up(self) -> Step:
        """Go one step up, with the shortest cool-down, so that a try that fails is short."""
        self._hold(self._settings.cool_down_s)
        step = self._move(-1)
        if self.level is Level.NORMAL:
            self.trigger = None
        return step

    def _move(self, by: int) -> Step:
        step = Step(self.level, LADDER[self.level.rank + by])
        self.level = step.after
        self._count_pause()
        return step

    def _count_pause(self) -> None:
        self.fruitless_pauses += self.level is Level.PAUSE

    def _hold(self, seconds: float) -> None:
        self._holds_until = self._clock() + seconds

    def _cool_down_s(self) -> float:
        doublings = min(self._failures - 1, 30)
        return float(min(self._settings.cool_down_longest_s, self._settings.cool_down_s * 2**doublings))
