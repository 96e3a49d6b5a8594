"""The circuit breaker against a clock of its own: any order of trouble, waits and clean segments."""

from __future__ import annotations

from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.degradation.level_ladder import LADDER, DegradationTrigger, LadderState, Level, LevelLadder, TriggerKind
from pipeline.settings import DegradationSettings, LevelName, LowestLevelSettings

SETTINGS = DegradationSettings(cool_down_s=10, cool_down_longest_s=80, probation_segments=3)
MEMORY = DegradationTrigger(TriggerKind.OUT_OF_MEMORY, "no memory")

EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("trigger"), st.sampled_from(list(TriggerKind))),
        st.tuples(st.just("clean"), st.none()),
        st.tuples(st.just("end pause"), st.none()),
        st.tuples(st.just("restart"), st.none()),
        st.tuples(st.just("wait"), st.floats(0, 200)),
    ),
    max_size=200,
)


class Bench:
    """A breaker, its clock, and the levels that it has been at, each with its time."""

    def __init__(self, settings: DegradationSettings = SETTINGS) -> None:
        self.now = 1000.0
        self._settings = settings
        self.ladder = LevelLadder(settings, lambda: self.now)
        self.seen = [(self.now, self.ladder.level)]

    def do(self, event: str, what: object = None) -> None:
        match event:
            case "trigger":
                self.ladder.record_trigger(DegradationTrigger(TriggerKind(what), f"because of {what}"))
            case "clean" if self.ladder.level is not Level.PAUSE:  # where no segment is made
                self.ladder.record_clean()
            case "end pause":
                self.ladder.end_pause()
            case "wait":
                self.now += float(what)  # type: ignore[arg-type]
            case "restart" if self.ladder.level is not Level.PAUSE:
                state = self.ladder.to_json()
                self.ladder = LevelLadder(self._settings, lambda: self.now)
                self.ladder.restore(state)
        if self.ladder.level is not self.seen[-1][1]:
            self.seen.append((self.now, self.ladder.level))

    def sink(self, level: Level) -> None:
        while self.ladder.level is not level:
            self.now += self.ladder.wait_s
            self.do("trigger", TriggerKind.OUT_OF_MEMORY)

    def recover(self, most: int = 100) -> int:
        """Clean segments, ten seconds each, until the level is normal; returns how many."""
        for n in range(most):
            if self.ladder.level is Level.NORMAL:
                return n
            self.now += 10
            self.do("end pause")
            self.do("clean")
        raise AssertionError(f"still at {self.ladder.level} after {most} clean segments")


@given(EVENTS)
def test_no_step_is_ever_skipped(events: list[tuple[str, object]]) -> None:
    bench = Bench()
    for event in events:
        bench.do(*event)
    for (_, before), (_, after) in pairwise(bench.seen):
        assert abs(after.rank - before.rank) == 1


@given(EVENTS)
def test_nothing_changes_faster_than_its_cool_down(events: list[tuple[str, object]]) -> None:
    bench = Bench()
    for event, what in events:
        rank, before = bench.ladder.level.rank, bench.seen[-1][0]
        bench.do(event, what)
        moved = bench.ladder.level.rank - rank
        if moved and len(bench.seen) > 2:
            assert bench.now - before >= SETTINGS.cool_down_s - 1e-6
        if moved > 0:
            assert bench.ladder.wait_s >= SETTINGS.cool_down_s - 1e-6
    assert bench.ladder.wait_s <= SETTINGS.cool_down_longest_s + 1e-6


@given(EVENTS)
def test_enough_clean_segments_always_lead_back_to_normal(events: list[tuple[str, object]]) -> None:
    bench = Bench()
    for event in events:
        bench.do(*event)
    cleaned = bench.recover()
    assert cleaned <= len(LADDER) * (SETTINGS.cool_down_longest_s / 10 + SETTINGS.probation_segments)
    assert bench.ladder.state is LadderState.CLOSED
    assert bench.ladder.trigger is None


@given(EVENTS)
def test_a_kind_of_trigger_never_leads_below_its_lowest_level(events: list[tuple[str, object]]) -> None:
    lowest = LowestLevelSettings(**{kind: "downscale" for kind in TriggerKind})
    bench = Bench(SETTINGS.model_copy(update={"lowest": lowest}))
    for event in events:
        bench.do(*event)
    assert {level for _, level in bench.seen} <= {Level.NORMAL, Level.DOWNSCALE}


@given(EVENTS)
def test_a_checkpoint_keeps_all_of_it(events: list[tuple[str, object]]) -> None:
    bench = Bench()
    for event in events:
        bench.do(*event)
    twin = LevelLadder(SETTINGS, lambda: bench.now)
    state = bench.ladder.to_json()
    twin.restore(state)
    kept = twin.to_json()
    wait_s = 0.0 if twin.level is Level.PAUSE else state["wait_s"]
    assert kept.pop("wait_s") == pytest.approx(wait_s)
    state.pop("wait_s")
    assert kept == state


def test_each_trigger_in_a_row_doubles_the_cool_down() -> None:
    bench, waits = Bench(), []
    for _ in range(6):
        bench.now += bench.ladder.wait_s
        bench.ladder.record_trigger(MEMORY)
        waits.append(bench.ladder.wait_s)
    assert waits == [10, 20, 40, 80, 80, 80]
    assert bench.ladder.fruitless_pauses == 4


def test_a_trigger_within_the_cool_down_changes_nothing_but_the_probation() -> None:
    bench = Bench()
    assert bench.ladder.record_trigger(MEMORY) is not None
    bench.now += 9.9
    assert bench.ladder.state is LadderState.OPEN
    assert bench.ladder.record_trigger(MEMORY) is None
    bench.now += 0.2
    assert bench.ladder.state is LadderState.HALF_OPEN
    assert [bench.ladder.record_clean() is None for _ in range(3)] == [True, True, False]
    assert bench.ladder.level is Level.NORMAL


def test_clean_segments_count_only_after_the_cool_down() -> None:
    bench = Bench()
    bench.ladder.record_trigger(MEMORY)
    assert [bench.ladder.record_clean() for _ in range(20)] == [None] * 20


def test_the_way_back_from_a_pause() -> None:
    bench = Bench()
    bench.sink(Level.PAUSE)
    assert bench.ladder.end_pause() is None
    bench.now += bench.ladder.wait_s
    step = bench.ladder.end_pause()
    assert step is not None
    assert (step.before, step.after, step.is_down) == (Level.PAUSE, Level.FRAME_SKIP, False)
    assert bench.recover() <= 8


def test_enough_clean_segments_at_the_normal_level_forget_earlier_triggers() -> None:
    bench = Bench()
    bench.sink(Level.FRAME_SKIP)
    bench.recover()
    for _ in range(SETTINGS.probation_segments + 2):
        bench.now += 10
        bench.ladder.record_clean()
    bench.ladder.record_trigger(MEMORY)
    assert bench.ladder.wait_s == SETTINGS.cool_down_s


def test_a_kind_that_is_switched_off_leads_nowhere() -> None:
    lowest = LowestLevelSettings(out_of_memory="normal")
    bench = Bench(SETTINGS.model_copy(update={"lowest": lowest}))
    assert bench.ladder.record_trigger(MEMORY) is None
    assert bench.ladder.state is LadderState.CLOSED
    assert bench.ladder.wait_s == 0


def test_settings_and_reports_know_the_same_levels() -> None:
    assert get_args(LevelName) == LADDER
