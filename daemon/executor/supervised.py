"""What all executors have in common: they read a worker's messages, watch its time limits, and decide on its outcome.

An executor adds how a worker is started, and the ``Connection`` to it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import structlog

from daemon import logs
from daemon.clock import Clock
from daemon.config.settings import Settings
from daemon.executor.protocol import Died, OnNote, OnStats, Outcome, Overdue, Place, Stalled
from daemon.worker.protocol import STOP, Ending, Note, Order, RunJob, decode, encode, framed
from pipeline.job import RESTING, Progress
from pipeline.telemetry.counters import StatsDelta

_LAST_LINES = 3
_LONGEST_PRINTED = 200
_GRACE_S = 10.0  # between a worker's last message and its end
_OWN_STALL_S = 5.0  # between two polls: the service itself was blocked, for instance by a share that hangs


class Connection(Protocol):
    """The connection to one worker process. Nothing here blocks or raises because the worker is dead."""

    def send(self, data: bytes) -> None:
        """Send bytes to the worker's standard input, in the order of the calls."""

    def messages(self) -> Iterator[bytes]:
        """Yield the lines that have arrived on the worker's pipe for messages."""

    def printed(self) -> Iterator[bytes]:
        """Yield the lines that the worker has printed."""

    def ended(self) -> Died | None:
        """Return how the process has ended, None while it runs; its last lines may still be unread."""

    def kill(self) -> None:
        """Send SIGKILL."""

    def close(self) -> None:
        """Give back what the connection holds; the process has ended."""


@dataclass(slots=True)
class Worker:
    """A running worker process and its latest messages.

    Attributes:
        place: where it runs; None beside the jobs of this machine.
        takes_slot: whether nobody else may have its slot.
        progress_at: when it last made progress, by the executor's clock.
        deadline: when it is killed, by the executor's clock.
        reports_progress: whether its kind of order has any; if not, it never counts as stalled.
        printed: the last lines that are no log lines.
    """

    job: str
    connection: Connection
    place: Place | None
    takes_slot: bool
    progress_at: float
    deadline: float
    log: structlog.stdlib.BoundLogger
    reports_progress: bool
    progress: Progress | None = None
    outcome: Ending | None = None
    killed: Stalled | Overdue | None = None
    printed: deque[str] = field(default_factory=lambda: deque(maxlen=_LAST_LINES))


class SupervisedExecutor(ABC):
    """All worker processes of the service.

    Args:
        stall_timeout_s: time without progress after which a worker is killed.
        clock: monotonic seconds.
        on_stats: called with a job and the statistics of its worker since the last call.
    """

    def __init__(self, *, stall_timeout_s: float, clock: Clock, on_stats: OnStats = lambda *_: None) -> None:
        self.on_note: OnNote = lambda *_: None
        self._stall_timeout_s = stall_timeout_s
        self._clock = clock
        self._on_stats = on_stats
        self._workers: dict[str, Worker] = {}
        self._polled_at = clock()

    def __len__(self) -> int:
        return len(self._workers)

    def __contains__(self, job: str) -> bool:
        return job in self._workers

    def apply(self, settings: Settings) -> None:
        """Take over changed settings; limits of time hold for workers that run, too."""
        self._stall_timeout_s = settings.workers.stall_timeout_s

    @property
    @abstractmethod
    def places(self) -> Sequence[Place]:
        """Where workers may run now."""

    @property
    @abstractmethod
    def slots(self) -> int:
        """How many workers may run side by side in all places."""

    @abstractmethod
    def _slots_on(self, node: str) -> int:
        """How many workers may run side by side on one host."""

    @abstractmethod
    def _start_worker(self, job: str, place: Place | None) -> Connection:
        """Start a worker that waits for its order.

        Raises:
            OSError: no process can be started.
        """

    def room(self, place: Place) -> int:
        """Return how many more workers may start at a place now."""
        taken = [each.key for each in self._taken()].count(place.key)
        return max(0, min(place.slots - taken, self._slots_on(place.node) - self.workers_on(place.node)))

    def workers_on(self, node: str) -> int:
        """Return how many workers take a slot of a host."""
        return sum(place.node == node for place in self._taken())

    def _taken(self) -> Iterator[Place]:
        """Yield the place of each worker that takes a slot."""
        return (worker.place for worker in self._workers.values() if worker.place and worker.takes_slot)

    def place_of(self, job: str) -> Place | None:
        """Return where a job's worker runs; None if there is none, or if it runs beside the jobs of this machine."""
        worker = self._workers.get(job)
        return worker.place if worker else None

    def progress(self, job: str) -> Progress | None:
        """Return the last progress of a job's worker; None if there is none."""
        worker = self._workers.get(job)
        return worker.progress if worker else None

    def start(
        self,
        job: str,
        order: Order,
        worker_log: structlog.stdlib.BoundLogger,
        *,
        place: Place | None = None,
        takes_slot: bool = True,
        longest_s: float = math.inf,
    ) -> None:
        """Start a worker for one order; see ``Executor.start``."""
        connection = self._start_worker(job, place)
        now = self._clock()
        self._workers[job] = Worker(
            job,
            connection,
            place,
            takes_slot=takes_slot and place is not None,
            progress_at=now,
            deadline=now + longest_s,
            log=worker_log,
            reports_progress=isinstance(order, RunJob) or getattr(order, "reports_progress", False),
        )
        connection.send(framed(order))

    def tell(self, job: str, note: Note) -> None:
        """Send a note to a running worker, after its order."""
        if worker := self._workers.get(job):
            worker.connection.send(encode(note))

    def stop(self, job: str) -> None:
        """Ask a worker to checkpoint and stop."""
        if worker := self._workers.get(job):
            worker.connection.send(STOP)

    def stop_all(self) -> None:
        """Ask all workers to checkpoint and stop."""
        for job in self._workers:
            self.stop(job)

    def kill(self, job: str) -> None:
        """End a worker at once; ``poll`` reports its end."""
        if worker := self._workers.get(job):
            worker.connection.kill()

    def kill_all(self) -> None:
        """End all workers at once; ``poll`` reports their ends."""
        for job in self._workers:
            self.kill(job)

    def poll(self) -> Iterator[tuple[str, Outcome]]:
        """Handle the messages of all workers; yield each job whose worker has ended, with its outcome."""
        self._extend_after_own_stall()
        for worker in list(self._workers.values()):
            died = worker.connection.ended()  # before its messages are read, so that the last one is among them
            self._listen(worker)
            if died is not None:
                del self._workers[worker.job]
                worker.connection.close()
                yield worker.job, worker.outcome or worker.killed or _with_output(died, worker)
            else:
                self._watch(worker)

    def _extend_after_own_stall(self) -> None:
        """Extend all limits by the time in which the service itself was blocked: the share blocked the workers, too."""
        now, before = self._clock(), self._polled_at
        self._polled_at = now
        if now - before > _OWN_STALL_S:
            for worker in self._workers.values():
                worker.progress_at += now - before
                worker.deadline += now - before

    def _listen(self, worker: Worker) -> None:
        for line in worker.connection.messages():
            self._handle(worker, line)
        for line in worker.connection.printed():
            text = line.decode("utf-8", "replace")
            if not logs.relay(worker.log, text):
                worker.printed.append(text.strip()[:_LONGEST_PRINTED])

    def _handle(self, worker: Worker, line: bytes) -> None:
        try:
            message = decode(line)
        except ValueError:
            worker.log.warning("worker sent an unknown message", text=line[:200].decode("utf-8", "replace"))
            return
        if isinstance(message, StatsDelta):
            self._on_stats(worker.job, message)
        elif isinstance(message, Note):
            self.on_note(worker.job, message)
        elif isinstance(message, Progress):
            if _moved(worker.progress, message):
                worker.progress_at = self._clock()
            worker.progress = message
        else:
            worker.outcome = message
            worker.progress_at = self._clock()

    def _watch(self, worker: Worker) -> None:
        """Kill a worker that stalls, exceeds its limit, or has sent its outcome and does not end."""
        idle_s = self._clock() - worker.progress_at
        if worker.outcome is not None:
            if idle_s > _GRACE_S:
                worker.connection.kill()
        elif idle_s > self._stall_timeout_s and worker.reports_progress:
            worker.killed = Stalled(self._stall_timeout_s)
            worker.connection.kill()
        elif self._clock() > worker.deadline:
            worker.killed = Overdue()
            worker.connection.kill()


def _moved(before: Progress | None, after: Progress) -> bool:
    """Whether the job makes progress, or reports that it waits for the device or the disk."""
    return (
        before is None
        or after.stage in RESTING
        or (
            (before.stage, before.frames_done, before.seconds_done)
            != (after.stage, after.frames_done, after.seconds_done)
        )
    )


def _with_output(died: Died, worker: Worker) -> Died:
    return replace(died, last_output=" ".join(filter(None, [died.last_output, *worker.printed])))
