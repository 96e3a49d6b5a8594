"""Gives conductors their part workers, and passes on what they say to each other.

A conductor is the worker of a job that is split; its part workers run under names of their own. They end with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import structlog

from daemon.executor.protocol import Died, Executor, Outcome, Place
from daemon.worker import part_work
from daemon.worker.part_work import WorkOnParts
from daemon.worker.protocol import Failed, Note, RunJob, Stopped

_NEEDED = "its place is needed for another file"
_MARK = "/part-"  # in the names of part workers
_MOST_RESTARTS = 5  # of part workers of one attempt; after that, those that are left must do


@dataclass(frozen=True, slots=True)
class _Seat:
    """Where a part worker runs; ``beside`` the conductor it takes no slot of its own."""

    place: Place | None
    beside: bool = False


@dataclass(slots=True)
class _Crew:
    order: RunJob
    log: structlog.stdlib.BoundLogger
    place: Place | None
    workers: dict[str, _Seat] = field(default_factory=dict)
    restarts: int = 0
    is_wanted: bool = False


class Crews:
    """The part workers of all jobs.

    Args:
        executor: its notes come here from now on.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._crews: dict[str, _Crew] = {}
        self._numbers = count(1)  # one that is killed may take its time to end: no name comes twice
        self._released: set[str] = set()
        executor.on_note = self._take

    def prepare(self, job: str, order: RunJob, worker_log: structlog.stdlib.BoundLogger, place: Place | None) -> None:
        """Let a job have part workers, before its own worker starts."""
        self._crews[job] = _Crew(order, worker_log, place)

    def size(self, job: str) -> int:
        """Return the number of a job's part workers."""
        return len(self._crews[job].workers) if job in self._crews else 0

    def staff(self) -> None:
        """Start the workers that conductors wait for; call it after jobs that wait for a place have started."""
        for job, crew in self._crews.items():
            if crew.is_wanted:
                crew.is_wanted = False
                self._grant(job, crew)

    def give_way(self) -> None:
        """End one part worker that holds a place, as a file waits for it: whole files gain more from a place."""
        if any(name in self._executor for name in self._released):
            return  # its place is about to be free
        self._released.clear()
        for job, crew in self._crews.items():
            for name in [name for name, seat in crew.workers.items() if not seat.beside][-1:]:
                del crew.workers[name]
                self._released.add(name)
                crew.log.info("part worker gives way to another file", part_worker=name)
                self._answer(job, name, {"kind": part_work.LEFT, "reason": _NEEDED, "is_failure": False})
                self._executor.kill(name)
                return

    def end(self, worker: str, outcome: Outcome) -> bool:
        """Take the end of a worker; return whether it was a part worker. The end of a conductor ends its workers."""
        if (crew := self._crews.pop(worker, None)) is not None:
            self._dismiss(crew)
        for job, crew in self._crews.items():
            if worker in crew.workers:
                self._replace(job, crew, worker, outcome)
                return True
        return is_part_worker(worker)

    def _take(self, worker: str, note: Note) -> None:
        """Take a note of a conductor or a part worker; a hostile file may control either."""
        crew, member = self._crews.get(worker), str(note.body.get("worker"))
        if crew is not None and note.subject == part_work.CREW_WANTED:
            crew.is_wanted = True
        elif crew is not None and note.subject == part_work.CREW_DISMISSED:
            self._dismiss(crew)
        elif crew is not None and note.subject == part_work.PART_ORDER and member in crew.workers:
            self._executor.tell(member, note)
        elif note.subject == part_work.PART_ANSWER and (job := self._conductor_of(worker)):
            self._answer(job, worker, note.body.get("part"))

    def _conductor_of(self, worker: str) -> str | None:
        return next((job for job, crew in self._crews.items() if worker in crew.workers), None)

    def _answer(self, job: str, worker: str, answer: Any) -> None:
        self._executor.tell(job, Note(part_work.PART_ANSWER, {"worker": worker, "part": answer}))

    def _grant(self, job: str, crew: _Crew) -> None:
        """Start a worker at each free place, and one beside the conductor, which leaves its own place idle."""
        executor = self._executor
        places = [place for place in self._fitting(crew) for _ in range(executor.room(place))]
        if places:
            self._start(job, crew, _Seat(crew.place, beside=True))
            for place in places:
                if executor.room(place):  # all places together may have less
                    self._start(job, crew, _Seat(place))
        names = list(crew.workers)
        crew.log.debug("part workers started" if names else "no place is free for part workers", workers=len(names))
        self._executor.tell(job, Note(part_work.CREW_GRANTED, {"workers": names}))

    def _fitting(self, crew: _Crew) -> list[Place]:
        """Return the places where parts come out as at the conductor's: those of its compute class."""
        wanted = "" if crew.place is None else crew.place.compute_class
        return [place for place in self._executor.places if place.compute_class == wanted]

    def _start(self, job: str, crew: _Crew, seat: _Seat) -> str:
        number, order, place = next(self._numbers), crew.order, seat.place
        name = f"{job}{_MARK}{number}"
        spec = order.spec
        if place is not None and place.gpu is not None:
            spec = replace(spec, device=spec.device.on_gpu(place.gpu.index), nvenc=place.gpu.nvenc)
        work = WorkOnParts(spec, number, order.nice, order.log_level, order.limits)
        try:
            self._executor.start(name, work, crew.log, place=place, takes_slot=not seat.beside)
        except OSError as error:
            crew.log.warning("part worker not started", reason=str(error))
            return ""
        crew.workers[name] = seat
        return name

    def _replace(self, job: str, crew: _Crew, worker: str, outcome: Outcome) -> None:
        """Tell the conductor that a worker has ended; start another one in its place if it did not end by itself."""
        seat = crew.workers.pop(worker)
        reason = _in_words(outcome)
        crew.log.warning("part worker ended", part_worker=worker, reason=reason)
        self._answer(job, worker, {"kind": part_work.LEFT, "reason": reason})
        if crew.restarts < _MOST_RESTARTS and not isinstance(outcome, Stopped):
            crew.restarts += 1
            if name := self._start(job, crew, self._another(crew, seat)):
                self._executor.tell(job, Note(part_work.WORKER_JOINED, {"worker": name}))

    def _another(self, crew: _Crew, seat: _Seat) -> _Seat:
        """Return where a worker goes on in place of one that has ended: there, or elsewhere if there is no room."""
        if seat.beside or seat.place is None or self._executor.room(seat.place):
            return seat
        return next((_Seat(place) for place in self._fitting(crew) if self._executor.room(place)), seat)

    def _dismiss(self, crew: _Crew) -> None:
        """Kill the workers: what they have not handed over is not needed."""
        for name in crew.workers:
            self._executor.kill(name)
        crew.workers.clear()
        crew.is_wanted = False


def is_part_worker(worker: str) -> bool:
    """Return whether a worker's name is that of a part worker."""
    return _MARK in worker


def _in_words(outcome: Outcome) -> str:
    if isinstance(outcome, Failed):
        return outcome.message
    if isinstance(outcome, Died):
        return f"a part worker was ended by {outcome.signal_name or f'exit status {outcome.exit_status}'}"
    return "a part worker has ended"
