"""What every executor does, with real worker processes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest
import structlog

from daemon.config.settings import Settings
from daemon.executor.local import LocalExecutor
from daemon.executor.protocol import Died, Outcome, Overdue, Stalled
from daemon.executor.ray_executor import RayExecutor
from daemon.worker.protocol import Failed, Note, Order, Stopped
from pipeline.job import Progress
from tests.support.cluster import Cluster
from tests.support.orders import DONE, Deaf, Dies, Echo, Raises, Silent
from tests.support.stage import Make, Stage

SETTINGS = Settings.model_validate({"workers": {"concurrent_jobs": 2, "stall_timeout_s": 100}})
LARGE = 300_000  # more than a pipe holds


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    if find_spec("ray") is None:  # an import would fix Ray's settings before the executor has set them
        pytest.skip("needs the extra cluster")
    made = Cluster()
    made.add("node")
    yield made
    made.close()


@pytest.fixture(params=["local", "ray"])
def make(request: pytest.FixtureRequest) -> Make:
    if request.param == "local":
        return lambda selector, clock: LocalExecutor(selector, SETTINGS, clock=clock)
    cluster: Cluster = request.getfixturevalue("cluster")
    return lambda selector, clock: RayExecutor(selector, cluster.settings(), cluster.state, clock=clock)


@pytest.fixture
def stage(make: Make) -> Iterator[Stage]:
    made = Stage(make)
    made.place()
    yield made
    made.close()


def test_a_worker_reports_progress_and_its_outcome(stage: Stage) -> None:
    stage.start("j", Echo())
    assert "j" in stage.executor
    assert stage.executor.progress("j") is None
    stage.until(lambda: stage.executor.progress("j"))
    assert stage.executor.progress("j") == Progress("render", 5, 0.5, 10.0)
    stage.executor.tell("j", Note("end"))
    assert stage.outcome("j") == DONE
    assert (len(stage.executor), stage.executor.progress("j")) == (0, None)


def test_notes_go_both_ways_in_order(stage: Stage) -> None:
    stage.start("j", Echo(ballast=bytes(LARGE)))
    for number in range(50):
        stage.executor.tell("j", Note(str(number), {"of": number, "text": "x" * (LARGE if number == 25 else 1)}))
    stage.until(lambda: len(stage.notes) == 50)
    assert [(job, note.subject, note.body["of"]) for job, note in stage.notes] == [("j", str(n), n) for n in range(50)]
    stage.executor.tell("j", Note("end"))
    assert stage.outcome("j") == DONE


def test_each_worker_gets_its_own_notes(stage: Stage) -> None:
    pids = {job: stage.runs(job) for job in ("a", "b")}
    assert len(set(pids.values())) == 2
    stage.executor.tell("b", Note("end"))
    assert stage.outcome("b") == DONE
    assert "a" in stage.executor


def test_a_stop_reaches_workers_after_notes(stage: Stage) -> None:
    stage.runs("a")
    stage.runs("b")
    stage.executor.tell("a", Note("something"))
    stage.executor.stop("a")
    assert stage.outcome("a") == Stopped()
    assert "b" in stage.executor
    stage.executor.stop_all()
    assert stage.outcome("b") == Stopped()


def test_a_killed_worker_has_died_and_leaves_no_process(stage: Stage) -> None:
    pid = stage.runs("j")
    stage.executor.kill("j")
    assert stage.outcome("j") == Died("SIGKILL", -signal.SIGKILL)
    assert not psutil.pid_exists(pid)


def test_what_has_ended_or_never_was_can_be_told_stopped_and_killed(stage: Stage) -> None:
    pid = stage.runs("j")
    os.kill(pid, signal.SIGKILL)
    stage.executor.tell("j", Note("late", {"text": "x" * LARGE}))
    stage.executor.stop("j")
    stage.executor.kill("j")
    assert stage.outcome("j") == Died("SIGKILL", -signal.SIGKILL)
    for call in (stage.executor.stop, stage.executor.kill, lambda job: stage.executor.tell(job, Note("x"))):
        call("j")
        call("never")


@pytest.mark.parametrize(
    ("order", "outcome"),
    [
        (Dies(signal.SIGABRT), Died("SIGABRT", -signal.SIGABRT, "terminate called")),
        (Dies(-3), Died("", 3, "terminate called")),
        (Raises(), Failed("INTERNAL", "The program failed: ZeroDivisionError: integer division or modulo by zero", "")),
    ],
)
def test_an_accident_is_an_outcome(stage: Stage, order: Order, outcome: Outcome) -> None:
    stage.start("j", order)
    found = stage.outcome("j")
    if isinstance(outcome, Failed):
        assert isinstance(found, Failed)
        assert (found.code, found.message) == (outcome.code, outcome.message)
    else:
        assert found == outcome


def test_a_worker_that_stalls_is_killed(stage: Stage) -> None:
    stage.start("j", Silent())
    stage.pass_time(99)
    assert stage.ended == {}
    stage.pass_time(3)
    assert stage.outcome("j") == Stalled(100)


def test_a_worker_that_is_overdue_is_killed(stage: Stage) -> None:
    stage.start("j", Silent(reports_progress=False), longest_s=200)
    stage.pass_time(190)
    assert stage.ended == {}
    stage.pass_time(12)
    assert stage.outcome("j") == Overdue()


def test_a_worker_that_does_not_end_after_its_outcome_is_killed(stage: Stage) -> None:
    stage.start("j", Deaf())
    time.sleep(2)
    stage.until(lambda: stage.pass_time(6) or "j" in stage.ended)
    assert stage.ended["j"] == DONE


def test_a_place_has_room_until_its_slots_are_taken(stage: Stage) -> None:
    (place,) = stage.executor.places
    assert (place.slots, stage.executor.slots, stage.executor.room(place)) == (2, 2, 2)
    stage.runs("a")
    assert (stage.executor.room(place), stage.executor.place_of("a")) == (1, place)
    stage.runs("b")
    assert stage.executor.room(place) == 0
    stage.executor.kill("a")
    stage.outcome("a")
    assert (stage.executor.room(place), stage.executor.place_of("a")) == (1, None)


def test_short_work_beside_the_jobs_takes_no_slot(stage: Stage) -> None:
    stage.executor.start("check", Echo(), structlog.get_logger())
    assert stage.executor.room(stage.executor.places[0]) == 2
    stage.executor.tell("check", Note("end"))
    assert stage.outcome("check") == DONE


def test_a_worker_may_run_beside_one_that_leaves_its_slot_idle(stage: Stage) -> None:
    place = stage.place()
    stage.runs("conductor")
    stage.executor.start("part", Echo(), structlog.get_logger(), place=place, takes_slot=False)
    assert (stage.executor.room(place), stage.executor.workers_on(place.node)) == (1, 1)
    assert stage.executor.place_of("part") == place
    stage.executor.tell("part", Note("end"))
    assert stage.outcome("part") == DONE


def test_a_worker_has_no_network(stage: Stage, tmp_path: Path) -> None:
    pid = stage.runs("j")
    status = Path(f"/proc/{pid}/status").read_text()
    own_network = Path(f"/proc/{pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()
    assert own_network or "Seccomp:\t2" in status
