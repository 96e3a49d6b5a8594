"""How many workers a machine runs, and where."""

from __future__ import annotations

import pytest
import structlog

from daemon.config.settings import Settings
from daemon.executor.places import jobs_per_gpu
from daemon.executor.protocol import Place
from daemon.worker.protocol import GPU
from tests.fakes.executor import ExecutorWithoutProcesses
from tests.support.orders import Silent


def executor(gpus: int, jobs_per_card: int | str = "auto", slots: int = 8) -> ExecutorWithoutProcesses:
    sections = {"workers": {"concurrent_jobs": slots}, "device": {"jobs_per_card": jobs_per_card}}
    return ExecutorWithoutProcesses(Settings.model_validate(sections), [GPU(number, 1) for number in range(gpus)])


@pytest.mark.parametrize(
    ("wanted", "slots", "gpus", "most"),
    [("auto", 8, 2, 4), ("auto", 7, 2, 4), ("auto", 3, 0, 3), ("auto", 1, 4, 1), (5, 8, 2, 5)],
)
def test_slots_are_spread_evenly_unless_set(wanted: int, slots: int, gpus: int, most: int) -> None:
    assert jobs_per_gpu(wanted, slots, gpus) == most  # type: ignore[arg-type]


@pytest.mark.parametrize(("gpus", "jobs_per_card", "slots"), [(0, 1, 8), (1, 3, 3), (2, 3, 6), (3, "auto", 8)])
def test_gpus_may_carry_fewer_jobs_than_there_are_slots(gpus: int, jobs_per_card: int | str, slots: int) -> None:
    assert executor(gpus, jobs_per_card).slots == slots


def test_changed_settings_change_the_places() -> None:
    one = executor(1, 3)
    one.apply(Settings.model_validate({"workers": {"concurrent_jobs": 2}, "device": {"jobs_per_card": 5}}))
    assert ([place.slots for place in one.places], one.slots) == ([5], 2)


@pytest.mark.parametrize(
    ("gpus", "jobs_per_card", "slots", "running", "room"),
    [
        (0, "auto", 3, [None], [2]),
        (2, "auto", 4, [0], [1, 2]),
        (2, "auto", 4, [0, 0], [0, 2]),
        (2, 4, 4, [0, 0, 1], [1, 1]),  # no more than there are slots in all
        (1, 1, 1, [0, 0], [0]),  # the number was lowered while they ran
    ],
)
def test_a_place_has_room_up_to_its_slots_and_all_slots(
    gpus: int, jobs_per_card: int | str, slots: int, running: list[int | None], room: list[int]
) -> None:
    fake = executor(gpus, jobs_per_card, slots)
    for number, gpu in enumerate(running):
        place = Place(fake.places[0].node, None if gpu is None else GPU(gpu, 99))
        fake.start(f"job{number}", Silent(), structlog.get_logger(), place=place)
    fake.start("comparison", Silent(), structlog.get_logger())
    assert [fake.room(place) for place in fake.places] == room
