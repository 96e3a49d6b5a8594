"""Worker processes as the service sees them: started, listened to, stopped, and replaced when they die or hang.

Nothing here waits: ``WorkerPool.poll`` takes what has come and returns. One process does one job.
"""

from __future__ import annotations

import math
import os
import selectors
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, TypeAlias

import structlog

from daemon import logs
from daemon.clock import Clock
from daemon.worker.protocol import (
    STOP,
    BackendReady,
    CheckBackend,
    CompareFiles,
    Failed,
    FilesCompared,
    Finished,
    Order,
    Stopped,
    decode,
    send_order,
)
from daemon.worker.spawn import WorkerProcess, spawn_worker
from pipeline.job import RESTING, Progress
from pipeline.telemetry.counters import StatsDelta

_CHUNK_BYTES = 65536
_LONGEST_LINE_BYTES = 1 << 20
_LAST_LINES = 3
_LONGEST_WORDS = 200
_GRACE_S = 10.0  # between a worker's last message and its end
_OWN_STANDSTILL_S = 5.0  # between two looks at the workers: the service itself was held up, by a share that hangs

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Died:
    """The process ended without a result.

    Attributes:
        signal_name: "" where it exited by itself.
        words: what was printed last, other than log lines: C++ says there what it died of.
    """

    signal_name: str
    exit_status: int
    words: str = ""


@dataclass(frozen=True, slots=True)
class Stalled:
    """The process made no progress for too long and was killed."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Overdue:
    """The process took longer than it may and was killed."""


Outcome: TypeAlias = Finished | Failed | Stopped | BackendReady | FilesCompared | Died | Stalled | Overdue


@dataclass(slots=True)
class Worker:
    """A running worker process and what it has said last."""

    job: str
    process: subprocess.Popen[bytes]
    messages: int
    moved_at: float
    deadline: float
    log: structlog.stdlib.BoundLogger
    progress: Progress | None = None
    outcome: Outcome | None = None
    killed: Stalled | Overdue | None = None
    may_stand_still: bool = False
    printed: deque[str] = field(default_factory=lambda: deque(maxlen=_LAST_LINES))
    _lines: dict[int, bytes] = field(default_factory=dict)

    def lines(self, fd: int, chunk: bytes) -> list[bytes]:
        """Whole lines out of what has come from one of the pipes so far."""
        *whole, rest = (self._lines.get(fd, b"") + chunk).split(b"\n")
        self._lines[fd] = rest[-_LONGEST_LINE_BYTES:]
        return whole


class WorkerPool:
    """All worker processes of the service.

    Args:
        selector: where the pipes are registered, so that the service's loop wakes when something comes.
        stall_timeout_s: time without progress after which a worker is killed.
        on_tally: called with a job and what its worker has done since it last told.
        spare: a worker that was started ahead; it takes the first order.
    """

    def __init__(
        self,
        selector: selectors.BaseSelector,
        *,
        stall_timeout_s: float,
        clock: Clock,
        on_tally: Callable[[str, StatsDelta], None] = lambda *_: None,
        spare: WorkerProcess | None = None,
    ) -> None:
        self._selector = selector
        self.stall_timeout_s = stall_timeout_s
        self._clock = clock
        self._on_tally = on_tally
        self._spare = spare
        self._workers: dict[str, Worker] = {}
        self._polled_at = clock()

    def apply(self, *, stall_timeout_s: float) -> None:
        """Use another stall timeout from now on, for running workers as well."""
        self.stall_timeout_s = stall_timeout_s

    def __len__(self) -> int:
        return len(self._workers)

    def __contains__(self, job: str) -> bool:
        return job in self._workers

    def progress(self, job: str) -> Progress | None:
        worker = self._workers.get(job)
        return worker.progress if worker else None

    def start(
        self, job: str, order: Order, worker_log: structlog.stdlib.BoundLogger, *, longest_s: float = math.inf
    ) -> None:
        """Start a process for one order, which is killed after ``longest_s``.

        Raises:
            OSError: no process can be started.
        """
        fresh, self._spare = self._spare or spawn_worker(), None
        now = self._clock()
        worker = Worker(job, fresh.process, fresh.messages, now, now + longest_s, worker_log)
        worker.may_stand_still = isinstance(order, CheckBackend | CompareFiles)  # it has no progress to tell of
        self._workers[job] = worker
        for fd in (fresh.messages, _stderr(fresh.process).fileno()):
            os.set_blocking(fd, False)
            self._selector.register(fd, selectors.EVENT_READ)
        _tell(fresh.process, order)

    def stop(self) -> None:
        """Ask all workers to checkpoint and stop."""
        for worker in self._workers.values():
            _tell(worker.process, STOP)

    def kill(self, job: str) -> None:
        """End a worker at once; ``poll`` reports its end."""
        if worker := self._workers.get(job):
            worker.process.kill()

    def kill_all(self) -> None:
        for worker in self._workers.values():
            worker.process.kill()

    def poll(self) -> Iterator[tuple[str, Outcome]]:
        """Take in what the workers have said; yields the jobs whose worker has ended, and how."""
        self._forgive_own_standstill()
        for worker in list(self._workers.values()):
            ended = worker.process.poll() is not None  # asked first: what it said before is in the pipe
            self._listen(worker)
            if ended:
                yield worker.job, self._bury(worker)
            else:
                self._watch(worker)

    def _forgive_own_standstill(self) -> None:
        """Time in which the share held up the service as well is not the workers'."""
        now, before = self._clock(), self._polled_at
        self._polled_at = now
        if now - before > _OWN_STANDSTILL_S:
            for worker in self._workers.values():
                worker.moved_at += now - before
                worker.deadline += now - before

    def _listen(self, worker: Worker) -> None:
        for line in self._read(worker, worker.messages):
            self._take(worker, line)
        for line in self._read(worker, _stderr(worker.process).fileno()):
            text = line.decode("utf-8", "replace")
            if not logs.relay(worker.log, text):
                worker.printed.append(text.strip()[:_LONGEST_WORDS])

    def _read(self, worker: Worker, fd: int) -> Iterator[bytes]:
        while chunk := _read_now(fd):
            yield from worker.lines(fd, chunk)

    def _take(self, worker: Worker, line: bytes) -> None:
        try:
            message = decode(line)
        except ValueError:
            worker.log.warning("worker sent an unknown message", text=line[:200].decode("utf-8", "replace"))
            return
        if isinstance(message, StatsDelta):
            self._on_tally(worker.job, message)
            return
        if not isinstance(message, Progress):
            worker.outcome = message
            worker.moved_at = self._clock()
        elif _moved(worker.progress, message):
            worker.moved_at = self._clock()
        if isinstance(message, Progress):
            worker.progress = message

    def _watch(self, worker: Worker) -> None:
        """Kill a worker that stands still or takes too long, or that has spoken its last word and does not end."""
        still_s = self._clock() - worker.moved_at
        if worker.outcome is not None:
            if still_s > _GRACE_S:
                worker.process.kill()
        elif still_s > self.stall_timeout_s and not worker.may_stand_still:
            worker.killed = Stalled(self.stall_timeout_s)
            worker.process.kill()
        elif self._clock() > worker.deadline:
            worker.killed = Overdue()
            worker.process.kill()

    def _bury(self, worker: Worker) -> Outcome:
        del self._workers[worker.job]
        for fd in (worker.messages, _stderr(worker.process).fileno()):
            self._selector.unregister(fd)
        os.close(worker.messages)
        for pipe in (worker.process.stdin, worker.process.stderr):
            _close(pipe)
        return worker.outcome or worker.killed or _death(worker.process.returncode, " ".join(worker.printed))


def _tell(process: subprocess.Popen[bytes], what: Order | bytes) -> None:
    """Send an order or a word; a worker that is dead already is noticed elsewhere."""
    pipe = process.stdin
    if pipe is None:
        return
    try:
        if isinstance(what, bytes):
            pipe.write(what)
            pipe.flush()
        else:
            send_order(pipe, what)
    except (BrokenPipeError, ValueError):
        log.debug("worker has gone before it could be told")


def _stderr(process: subprocess.Popen[bytes]) -> IO[bytes]:
    if process.stderr is None:
        raise ValueError("the worker was started without a pipe for its messages")
    return process.stderr


def _read_now(fd: int) -> bytes:
    try:
        return os.read(fd, _CHUNK_BYTES)
    except BlockingIOError:
        return b""


def _close(pipe: IO[bytes] | None) -> None:
    try:
        if pipe is not None:
            pipe.close()
    except BrokenPipeError:
        log.debug("worker left its order unread")


def _moved(before: Progress | None, after: Progress) -> bool:
    """Whether the job goes on, or waits for the device or the disk and says so."""
    return (
        before is None
        or after.stage in RESTING
        or (
            (before.stage, before.frames_done, before.seconds_done)
            != (after.stage, after.frames_done, after.seconds_done)
        )
    )


def _death(status: int, words: str) -> Died:
    if status >= 0:
        return Died("", status, words)
    try:
        return Died(signal.Signals(-status).name, status, words)
    except ValueError:
        return Died(f"signal {-status}", status, words)
