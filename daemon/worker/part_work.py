"""The work on parts of one recording, on both sides of the pipes: the conductor's crew, and the task of its workers.

All notes go through the service, which only passes them on (``daemon.executor.crews``).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from daemon.config.settings import WorkerLimits
from daemon.logs import configure_worker
from daemon.share.naming import printable
from daemon.worker import sandbox
from daemon.worker.protocol import Ending, Note, Stopped
from engines.cuda.gpu_selection import see_only
from pipeline.job import JobSpec

if TYPE_CHECKING:  # the service itself must never load codecs
    from daemon.worker.service_link import ServiceLink
    from pipeline.splitting.orders import Answer, Order

CREW_WANTED = "crew wanted"  # conductor to service
CREW_GRANTED = "crew granted"  # service to conductor: {"workers": names}
CREW_DISMISSED = "crew dismissed"  # conductor to service
WORKER_JOINED = "worker joined"  # service to conductor: {"worker": name}
PART_ORDER = "part order"  # {"worker": name, "part": order}; the worker's name is for the service
PART_ANSWER = "part answer"  # {"worker": name, "part": answer}; the service adds the worker's name
LEFT = "WorkerLeft"  # the kind of the answer that the service gives for a worker that has ended

LEAST_SPLIT_S = 120.0  # of a recording that is split without being asked to: below, starting workers costs more
_GRANT_WAIT_S = 30.0  # a service that does not answer is busy with its share


@dataclass(frozen=True, slots=True)
class WorkOnParts:
    """The order to carry out the orders of a job's conductor until it has no more.

    Attributes:
        number: of the worker among the part workers of the service, for the journal.
    """

    spec: JobSpec
    number: int
    nice: int
    log_level: str
    limits: WorkerLimits

    def carry_out(self, service: ServiceLink) -> Ending:
        """Serve the conductor."""
        from pipeline.splitting.serve import serve  # noqa: PLC0415 - see above

        os.nice(self.nice)
        sandbox.limit(self.limits, self.spec.device.backend)
        name = printable(self.spec.input_name)
        configure_worker(self.log_level, job=self.spec.job_id, file=name, stage="working", part_worker=str(self.number))
        spec = replace(self.spec, device=see_only(self.spec.device))
        serve(spec, _orders(service), lambda answer: service.send(Note(PART_ANSWER, {"part": to_json(answer)})))
        return Stopped()


def _orders(service: ServiceLink) -> Iterator[Order]:
    from pipeline.splitting import orders  # noqa: PLC0415 - see above

    while (note := service.receive()) is not None:
        if note.subject == PART_ORDER:
            yield orders.order_from_json(note.body["part"])


def to_json(message: Order | Answer) -> dict[str, Any]:
    """Return an order or an answer as the body of a note; ``pipeline.splitting.orders`` reads it."""
    return {"kind": type(message).__name__, **asdict(message)}


class PipeCrew:
    """The crew of the conductor in this process. Satisfies ``pipeline.splitting.orders.Crew``."""

    def __init__(self, service: ServiceLink, workers: Sequence[str]) -> None:
        self._service = service
        self._workers = list(workers)

    @classmethod
    def gather(cls, service: ServiceLink) -> PipeCrew | None:
        """Ask the service for workers; None if it has none to spare."""
        service.send(Note(CREW_WANTED))
        while (note := service.receive(_GRANT_WAIT_S)) is not None:
            if note.subject == CREW_GRANTED:
                workers = [str(name) for name in note.body["workers"]]
                return cls(service, workers) if workers else None
        service.send(Note(CREW_DISMISSED))  # it would come too late
        return None

    def workers(self) -> Sequence[str]:
        return self._workers

    def give(self, worker: str, order: Order) -> None:
        self._service.send(Note(PART_ORDER, {"worker": worker, "part": to_json(order)}))

    def answer(self, timeout_s: float) -> tuple[str, Answer] | None:
        from pipeline.splitting import orders  # noqa: PLC0415 - see above

        while (note := self._service.receive(timeout_s)) is not None:
            if note.subject == WORKER_JOINED:
                self._workers.append(str(note.body["worker"]))
            elif note.subject == PART_ANSWER:
                worker, answer = str(note.body["worker"]), orders.answer_from_json(note.body["part"])
                if isinstance(answer, orders.WorkerLeft) and worker in self._workers:
                    self._workers.remove(worker)
                return worker, answer
        return None

    def dismiss(self) -> None:
        self._workers.clear()
        self._service.send(Note(CREW_DISMISSED))
