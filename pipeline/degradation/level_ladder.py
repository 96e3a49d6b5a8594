"""The circuit breaker of a device: how far the work on it is cut down, and when that may change. It has no threads.

After M. Nygard, "Release It!" (2007), with a ladder of levels in the place of on and off:

    closed     normal work
    open       a trip has led one step down; nothing changes until the cool-down is over
    half-open  on probation: enough clean segments lead one step up, a trip leads down again, with a longer cool-down

At the lowest level nothing is done, so nothing can prove clean: from there the end of the cool-down leads one step up.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any

from pipeline.settings import DegradationSettings


class Level(StrEnum):
    """How far the work is cut down, as reports say it."""

    NORMAL = "normal"
    DOWNSCALE = "downscale"
    FRAME_SKIP = "frame_skip"
    PAUSE = "pause"

    @property
    def rank(self) -> int:
        return LADDER.index(self)


LADDER = tuple(Level)


class TriggerKind(StrEnum):
    """What leads down; ``degradation.lowest`` has a key for each."""

    OUT_OF_MEMORY = "out_of_memory"
    VRAM_GUARD = "vram_guard"
    DECODER_ERRORS = "decoder_errors"
    FRAME_LATENCY = "frame_latency"


class State(Enum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True, slots=True)
class DegradationTrigger:
    """One piece of trouble; ``reason`` is for people."""

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


class CircuitBreaker:
    """One job's breaker.

    Args:
        clock: monotonic seconds.

    Attributes:
        trip: what led down last; None at the normal level.
        fruitless_pauses: pauses since the last clean segment.
    """

    def __init__(self, settings: DegradationSettings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._failures = 0
        self._clean = 0
        self._holds_until = -math.inf
        self.level = Level.NORMAL
        self.trip: DegradationTrigger | None = None
        self.fruitless_pauses = 0

    @property
    def state(self) -> State:
        if self.level is Level.NORMAL:
            return State.CLOSED
        return State.OPEN if self.wait_s > 0 else State.HALF_OPEN

    @property
    def wait_s(self) -> float:
        """Time until the level may change."""
        return max(0.0, self._holds_until - self._clock())

    def lowest(self, kind: TriggerKind) -> Level:
        """Down to where a kind of trip may lead; ``NORMAL`` means that it leads nowhere."""
        return Level(getattr(self._settings.lowest, kind))

    def record_trip(self, trip: DegradationTrigger) -> Step | None:
        """Take note of trouble: one step down, unless the cool-down still runs or it may lead no further.

        Trouble that outlasts a cool-down makes the next one longer, also where it leads no further.
        """
        self._clean = 0
        lowest = self.lowest(trip.kind)
        if self.wait_s > 0 or lowest is Level.NORMAL:
            return None
        self._failures += 1
        self._hold(self._cool_down_s())
        if self.level.rank >= lowest.rank:
            self._count_pause()
            return None
        self.trip = trip
        return self._move(1)

    def record_clean(self) -> Step | None:
        """Take note of a segment without trouble: one step up after enough of them."""
        self.fruitless_pauses = 0
        if self.state is State.OPEN:
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
        """One step up for another try, once a pause's cool-down is over."""
        if self.level is not Level.PAUSE or self.wait_s > 0:
            return None
        return self._up()

    def to_json(self) -> dict[str, Any]:
        """The state for a checkpoint; times as what is left of them."""
        return {
            "level": self.level,
            "failures": self._failures,
            "clean": self._clean,
            "wait_s": self.wait_s,
            "fruitless_pauses": self.fruitless_pauses,
            "trip": None if self.trip is None else [self.trip.kind, self.trip.reason],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from an earlier process's state. A pause is over: between two processes the device had one.

        Trouble of a kind that is no trip any more, in a checkpoint of an earlier version, is over as well.
        """
        if state["trip"] is not None and state["trip"][0] not in set(TriggerKind):
            return
        self.level = Level(state["level"])
        self._failures, self._clean = state["failures"], state["clean"]
        self.fruitless_pauses = state["fruitless_pauses"]
        self.trip = (
            None if state["trip"] is None else DegradationTrigger(TriggerKind(state["trip"][0]), state["trip"][1])
        )
        self._holds_until = -math.inf
        if self.level is not Level.PAUSE:
            self._hold(state["wait_s"])

    def _up(self) -> Step:
        """One step up. The next change may come soon, so that a try that fails is a short one."""
        self._hold(self._settings.cool_down_s)
        step = self._move(-1)
        if self.level is Level.NORMAL:
            self.trip = None
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
