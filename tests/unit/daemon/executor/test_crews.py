"""Part workers start where places are free, talk to their conductor alone, and end with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import structlog

from daemon.config.settings import Settings, WorkerLimits
from daemon.executor.crews import Crews, is_part_worker
from daemon.executor.protocol import Died, Outcome, Place
from daemon.worker.part_work import (
    CREW_DISMISSED,
    CREW_GRANTED,
    CREW_WANTED,
    PART_ANSWER,
    PART_ORDER,
    WORKER_JOINED,
    WorkOnParts,
)
from daemon.worker.protocol import GPU, Failed, Note, RunJob, Stopped
from pipeline.job import JobSpec
from tests.fakes.executor import ExecutorWithoutProcesses

LOG = structlog.stdlib.get_logger()
KILLED = Died("SIGKILL", -9)


class Host:
    """A host with some slots, and the crews of its jobs."""

    def __init__(self, folder: Path, slots: int = 3, gpus: tuple[GPU, ...] = ()) -> None:
        settings = Settings.model_validate({"workers": {"concurrent_jobs": slots}})
        self.executor = ExecutorWithoutProcesses(settings, gpus)
        self.crews = Crews(self.executor)
        self._folder = folder

    def conduct(self, job: str, place: Place | None = None) -> list[str]:
        """Start a job that asks for part workers; return those that it gets."""
        place = place or self.executor.places[0]
        order = RunJob(JobSpec(job, self._folder / job, job, self._folder), 5, "info", WorkerLimits())
        self.crews.prepare(job, order, LOG, place)
        self.executor.start(job, order, LOG, place=place)
        return self.ask(job)

    def ask(self, job: str) -> list[str]:
        self.say(job, Note(CREW_WANTED))
        self.crews.staff()
        (workers,) = (note.body["workers"] for to, note in self.heard() if (to, note.subject) == (job, CREW_GRANTED))
        return list(workers)

    def say(self, worker: str, note: Note) -> None:
        self.executor.on_note(worker, note)

    def heard(self) -> list[tuple[str, Note]]:
        """Return what workers were told since the last call."""
        told, self.executor.told = self.executor.told, []
        return told

    def end(self, worker: str, outcome: Outcome = KILLED) -> bool:
        self.executor.end(worker)
        return self.crews.end(worker, outcome)

    def order(self, worker: str) -> WorkOnParts:
        order = self.executor.orders[worker]
        assert isinstance(order, WorkOnParts)
        return order


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_crew_fills_the_free_places_and_that_of_its_conductor(host: Host) -> None:
    workers = host.conduct("job")
    assert len(workers) == len(set(workers)) == 3
    assert host.crews.size("job") == 3
    assert all(map(is_part_worker, workers))
    assert host.executor.room(host.executor.places[0]) == 0
    assert {host.order(worker).nice for worker in workers} == {5}


def test_nobody_is_spared_where_no_place_is_free(tmp_path: Path) -> None:
    host = Host(tmp_path, slots=1)
    assert host.conduct("job") == []
    assert len(host.executor) == 1


def test_two_jobs_share_what_is_free(tmp_path: Path) -> None:
    host = Host(tmp_path, slots=4)
    place = host.executor.places[0]
    host.executor.start("other", RunJob(JobSpec("other", tmp_path, "", tmp_path), 0, "info", WorkerLimits()), LOG,
                        place=place)  # fmt: skip
    assert len(host.conduct("job")) == 3
    assert host.conduct("late", place) == []


def test_workers_run_on_the_gpus_where_there_is_room(tmp_path: Path) -> None:
    host = Host(tmp_path, slots=2, gpus=(GPU(0, 10), GPU(1, 11)))
    workers = host.conduct("job", host.executor.places[0])
    assert [host.order(worker).spec.device.gpu for worker in workers] == [0, 1]
    assert [host.executor.place_of(worker) for worker in workers] == list(host.executor.places)


class Nodes(ExecutorWithoutProcesses):
    """Three nodes with one place each, two of them of one compute class."""

    places = (Place("a", compute_class="cpu-1"), Place("b", compute_class="cpu-2"), Place("c", compute_class="cpu-1"))

    def _slots_on(self, node: str) -> int:
        return 1


@pytest.fixture
def nodes(tmp_path: Path) -> Host:
    host = Host(tmp_path)
    host.executor = Nodes()
    host.crews = Crews(host.executor)
    return host


def test_parts_are_placed_in_the_compute_class_of_their_conductor_and_beside_it(nodes: Host) -> None:
    a, b, c = nodes.executor.places
    workers = nodes.conduct("job", a)
    assert [nodes.executor.place_of(worker) for worker in workers] == [a, c]
    assert [nodes.executor.room(place) for place in (a, b, c)] == [0, 1, 0]
    assert [nodes.executor.workers_on(place.node) for place in (a, b, c)] == [1, 0, 1]


def test_a_part_worker_of_a_lost_node_goes_on_at_another(nodes: Host) -> None:
    a, _, c = nodes.executor.places
    _, lost = nodes.conduct("job", a)
    nodes.executor.end(lost)
    nodes.executor.places = (a, Place("d", compute_class="cpu-1"))  # type: ignore[misc]
    nodes.executor.start("other", nodes.order(lost), LOG, place=c)
    nodes.crews.end(lost, Died("node lost", 0, "c", may_still_run=True))
    (joined,) = (note.body["worker"] for _, note in nodes.heard() if note.subject == WORKER_JOINED)
    place = nodes.executor.place_of(joined)
    assert place is not None
    assert place.node == "d"


def test_orders_and_answers_are_passed_on(host: Host) -> None:
    first, *_ = host.conduct("job")
    host.say("job", Note(PART_ORDER, {"worker": first, "part": {"kind": "DetectPart"}}))
    host.say(first, Note(PART_ANSWER, {"part": {"kind": "PartFailed"}}))
    assert host.heard() == [
        (first, Note(PART_ORDER, {"worker": first, "part": {"kind": "DetectPart"}})),
        ("job", Note(PART_ANSWER, {"worker": first, "part": {"kind": "PartFailed"}})),
    ]


@pytest.mark.parametrize("worker", ["other", "job", None, [], {"a": 1}, 7])
def test_a_conductor_gives_orders_to_its_own_workers_alone(worker: Any, tmp_path: Path) -> None:
    host = Host(tmp_path, slots=5)
    host.conduct("job")
    host.conduct("other")
    host.say("job", Note(PART_ORDER, {"worker": worker, "part": {}}))
    assert host.heard() == []


def test_an_answer_counts_for_the_worker_that_gives_it(host: Host) -> None:
    first, second, _ = host.conduct("job")
    host.say(second, Note(PART_ANSWER, {"worker": first, "part": {"kind": "WorkerLeft"}}))
    assert host.heard() == [("job", Note(PART_ANSWER, {"worker": second, "part": {"kind": "WorkerLeft"}}))]


@pytest.mark.parametrize("subject", [CREW_WANTED, CREW_DISMISSED, PART_ORDER, PART_ANSWER, "anything"])
def test_notes_of_others_change_nothing(host: Host, subject: str) -> None:
    workers = host.conduct("job")
    for other in ("stranger", workers[0]):
        if (other, subject) != (workers[0], PART_ANSWER):
            host.say(other, Note(subject, {"worker": workers[1], "part": {}}))
    host.crews.staff()
    assert host.heard() == []
    assert host.executor.killed == []


def test_a_worker_that_dies_is_replaced_in_its_place(host: Host) -> None:
    workers = host.conduct("job")
    assert host.end(workers[1])
    (to, left), (_, joined) = host.heard()
    assert (to, left.body["worker"], left.body["part"]["kind"]) == ("job", workers[1], "WorkerLeft")
    assert "SIGKILL" in left.body["part"]["reason"]
    assert joined.subject == WORKER_JOINED
    assert joined.body["worker"] not in workers
    assert host.executor.place_of(joined.body["worker"]) == host.executor.places[0]
    assert host.crews.size("job") == 3


def test_a_worker_that_ends_by_itself_is_not_replaced(host: Host) -> None:
    """It would do so again, or the service is asked to stop."""
    workers = host.conduct("job")
    assert host.end(workers[0], Stopped())
    assert [note.subject for _, note in host.heard()] == [PART_ANSWER]
    assert host.crews.size("job") == 2


def test_deaths_without_end_are_not_made_good(host: Host) -> None:
    workers = host.conduct("job")
    for _ in range(20):
        if workers:
            host.end(workers.pop(), Failed("WORKER_DIED", "no memory", ""))
            workers += [note.body["worker"] for _, note in host.heard() if note.subject == WORKER_JOINED]
    assert workers == []
    assert host.crews.size("job") == 0
    assert len(host.executor.orders) <= 1 + 3 + 5


@pytest.mark.parametrize("outcome", [KILLED, Stopped()])
def test_workers_end_with_their_conductor(host: Host, outcome: Outcome) -> None:
    workers = host.conduct("job")
    assert host.end("job", outcome) is False
    assert host.executor.killed == workers
    host.heard()
    for worker in workers:
        assert host.end(worker)
    assert host.heard() == []
    assert len(host.executor) == 0


def test_dismissed_workers_end_and_are_not_replaced(host: Host) -> None:
    workers = host.conduct("job")
    host.say("job", Note(CREW_DISMISSED))
    assert host.executor.killed == workers
    host.heard()
    assert host.end(workers[0])
    assert host.heard() == []
    assert host.crews.size("job") == 0


def test_a_crew_that_is_no_longer_wanted_does_not_come(host: Host) -> None:
    host.conduct("job")
    for subject in (CREW_DISMISSED, CREW_WANTED, CREW_DISMISSED):
        host.say("job", Note(subject))
    started = len(host.executor.orders)
    host.crews.staff()
    assert len(host.executor.orders) == started


def test_the_next_attempt_has_workers_of_its_own(host: Host) -> None:
    """One of the former ones that is killed may hang on a share that does not answer."""
    before = host.conduct("job")
    host.end("job")
    for worker in before[1:]:
        host.end(worker)
    after = host.conduct("job")
    assert not set(before) & set(after)
    assert host.end(before[0])
    assert host.crews.size("job") == len(after)


def test_where_no_process_can_be_started_the_conductor_works_alone(host: Host) -> None:
    place = host.executor.places[0]
    order = RunJob(JobSpec("job", Path("x"), "x", Path("x")), 0, "info", WorkerLimits())
    host.crews.prepare("job", order, LOG, place)
    host.executor.start("job", order, LOG, place=place)
    host.executor.refuses = True
    assert host.ask("job") == []


def test_part_workers_give_way_one_after_another_and_that_beside_the_conductor_stays(host: Host) -> None:
    beside, first, second = host.conduct("job")
    for worker in (second, first):
        host.crews.give_way()
        host.crews.give_way()  # its place is not free yet
        assert host.executor.killed.pop() == worker
        assert not host.executor.killed
        ((to, note),) = host.heard()
        assert (to, note.body["worker"], note.body["part"]["is_failure"]) == ("job", worker, False)
        assert host.end(worker)
        assert host.heard() == []  # nobody takes its place
    host.crews.give_way()
    assert (host.executor.killed, host.crews.size("job")) == ([], 1)
    assert beside in host.executor
