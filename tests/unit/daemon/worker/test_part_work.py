"""The conductor's side of its crew: notes go out, and answers come in."""

from __future__ import annotations

from collections import deque
from typing import Any

from daemon.worker.part_work import (
    CREW_DISMISSED,
    CREW_GRANTED,
    CREW_WANTED,
    LEFT,
    PART_ANSWER,
    PART_ORDER,
    WORKER_JOINED,
    PipeCrew,
    to_json,
)
from daemon.worker.protocol import Note
from pipeline.splitting.orders import Answer, DetectPart, PartFailed, PartProgress, WorkerLeft, order_from_json
from pipeline.splitting.part import Part


class Service:
    """A link to a service whose notes are known beforehand."""

    def __init__(self, *notes: Note) -> None:
        self.sent: list[Note] = []
        self._notes = deque(notes)

    def send(self, note: Note) -> None:
        self.sent.append(note)

    def receive(self, timeout_s: float | None = None) -> Note | None:
        return self._notes.popleft() if self._notes else None

    def subjects(self) -> list[str]:
        return [note.subject for note in self.sent]


def granted(*workers: str) -> Note:
    return Note(CREW_GRANTED, {"workers": list(workers)})


def said(worker: str, answer: Answer) -> Note:
    return Note(PART_ANSWER, {"worker": worker, "part": to_json(answer)})


def gathered(service: Any) -> PipeCrew:
    crew = PipeCrew.gather(service)
    assert crew is not None
    return crew


def test_a_crew_is_asked_for() -> None:
    service = Service(granted("a", "b"))
    assert gathered(service).workers() == ["a", "b"]
    assert service.subjects() == [CREW_WANTED]


def test_without_workers_there_is_no_crew() -> None:
    assert PipeCrew.gather(Service(granted())) is None  # type: ignore[arg-type]


def test_a_grant_that_comes_too_late_is_given_back() -> None:
    """The service may have been busy with a share that did not answer; its workers would stay idle."""
    service = Service()
    assert PipeCrew.gather(service) is None  # type: ignore[arg-type]
    assert service.subjects() == [CREW_WANTED, CREW_DISMISSED]


def test_what_a_former_crew_has_said_does_not_count() -> None:
    crew = gathered(Service(said("old", PartFailed("0000-1", "no memory")), granted("a")))
    assert crew.answer(0) is None


def test_orders_arrive_as_they_were_given() -> None:
    service = Service(granted("a"))
    order = DetectPart(Part(0, 0, 2, 0, None), "0000-1", 0, {"backend": "cpu"}, 3)
    gathered(service).give("a", order)
    note = service.sent[-1]
    assert (note.subject, note.body["worker"]) == (PART_ORDER, "a")
    assert order_from_json(note.body["part"]) == order


def test_answers_come_with_the_name_of_their_worker() -> None:
    progress = PartProgress("0000-1", 0.5, 12)
    crew = gathered(Service(granted("a", "b"), Note("unknown"), said("b", progress), said("a", WorkerLeft("killed"))))
    assert [crew.answer(0), crew.answer(0), crew.answer(0)] == [("b", progress), ("a", WorkerLeft("killed")), None]
    assert crew.workers() == ["b"]


def test_workers_join_and_leave() -> None:
    left = said("a", WorkerLeft())
    crew = gathered(Service(granted("a"), left, left, Note(WORKER_JOINED, {"worker": "c"})))
    for _ in range(3):
        crew.answer(0)
    assert crew.workers() == ["c"]


def test_a_dismissed_crew_has_no_workers() -> None:
    service = Service(granted("a"))
    crew = gathered(service)
    crew.dismiss()
    assert (crew.workers(), service.subjects()[-1]) == ([], CREW_DISMISSED)


def test_the_service_knows_the_name_of_the_last_answer() -> None:
    assert to_json(WorkerLeft())["kind"] == LEFT
