"""Starts, polls, stops and kills the worker processes of the service.

Nothing here blocks: ``WorkerPool.poll`` handles the messages that have arrived and returns. One process does one job.
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
    Failed,
    FilesCompared,
    Finished,
    Order,
    RunJob,
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
_LONGEST_PRINTED = 200
_GRACE_S = 10.0  # between a worker's last message and its end
_OWN_STALL_S = 5.0  # between two polls: the service itself was blocked, for instance by a share that hangs

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Died:
    """The process ended without a result.

    Attributes:
        signal_name: "" if it exited by itself.
        last_output: the last lines that it printed besides log lines; C++ libraries print the cause of an abort there.
    """

    signal_name: str
    exit_status: int
    last_output: str = ""


@dataclass(frozen=True, slots=True)
class Stalled:
    """The process made no progress for too long and was killed."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Overdue:
    """The process exceeded its time limit and was killed."""


Outcome: TypeAlias = Finished | Failed | Stopped | BackendReady | FilesCompared | Died | Stalled | Overdue


@dataclass(slots=True)
class Worker:
    """A running worker process and its latest messages.

    Attributes:
        messages: the descriptor of the pipe that its messages come from.
        progress_at: when it last made progress, by the pool's clock.
        deadline: when it is killed, by the pool's clock.
        reports_progress: whether its kind of order has any; if not, it never counts as stalled.
        printed: the last lines that are no log lines.
    """

    job: str
    process: subprocess.Popen[bytes]
    messages: int
    progress_at: float
    deadline: float
    log: structlog.stdlib.BoundLogger
    progress: Progress | None = None
    outcome: Outcome | None = None
    killed: Stalled | Overdue | None = None
    reports_progress: bool = True
    printed: deque[str] = field(default_factory=lambda: deque(maxlen=_LAST_LINES))
    _lines: dict[int, bytes] = field(default_factory=dict)

    def lines(self, fd: int, chunk: bytes) -> list[bytes]:
        """Return the complete lines that a chunk from one of the pipes ends."""
        *whole, rest = (self._lines.get(fd, b"") + chunk).split(b"\n")
        self._lines[fd] = rest[-_LONGEST_LINE_BYTES:]
        return whole


class WorkerPool:
    """All worker processes of the service.

    Args:
        selector: the pipes are registered here, so that the service's loop wakes up for a message.
        stall_timeout_s: time without progress after which a worker is killed.
        clock: monotonic seconds.
        on_stats: called with a job and the statistics of its worker since the last call.
        spare: a worker that was started ahead; it takes the first order.
    """

    def __init__(
        self,
        selector: selectors.BaseSelector,
        *,
        stall_timeout_s: float,
        clock: Clock,
        on_stats: Callable[[str, StatsDelta], None] = lambda *_: None,
        spare: WorkerProcess | None = None,
    ) -> None:
        self._selector = selector
        self._stall_timeout_s = stall_timeout_s
        self._clock = clock
        self._on_stats = on_stats
        self._spare = spare
        self._workers: dict[str, Worker] = {}
        self._polled_at = clock()

    def __len__(self) -> int:
        return len(self._workers)

    def __contains__(self, job: str) -> bool:
        return job in self._workers

    def apply(self, *, stall_timeout_s: float) -> None:
        """Take over a changed setting; it holds for workers that run, too."""
        self._stall_timeout_s = stall_timeout_s

    def progress(self, job: str) -> Progress | None:
        """Return the last progress of a job's worker; None if there is none."""
        worker = self._workers.get(job)
        return worker.progress if worker else None

    def start(
        self, job: str, order: Order, worker_log: structlog.stdlib.BoundLogger, *, longest_s: float = math.inf
    ) -> None:
        """Start a process for one order; it is killed after ``longest_s`` seconds.

        Raises:
            OSError: no process can be started.
        """
        fresh, self._spare = self._spare or spawn_worker(), None
        now = self._clock()
        self._workers[job] = Worker(
            job,
            fresh.process,
            fresh.messages,
            progress_at=now,
            deadline=now + longest_s,
            log=worker_log,
            reports_progress=isinstance(order, RunJob),
        )
        for fd in (fresh.messages, _stderr(fresh.process).fileno()):
            os.set_blocking(fd, False)
            self._selector.register(fd, selectors.EVENT_READ)
        _send(fresh.process, order)

    def stop(self) -> None:
        """Ask all workers to checkpoint and stop."""
        for worker in self._workers.values():
            _send(worker.process, STOP)

    def kill(self, job: str) -> None:
        """End a worker at once; ``poll`` reports its end."""
        if worker := self._workers.get(job):
            worker.process.kill()

    def kill_all(self) -> None:
        """End all workers at once; ``poll`` reports their ends."""
        for worker in self._workers.values():
            worker.process.kill()

    def poll(self) -> Iterator[tuple[str, Outcome]]:
        """Handle the messages of all workers; yield each job whose worker has ended, with its outcome."""
        self._extend_after_own_stall()
        for worker in list(self._workers.values()):
            ended = worker.process.poll() is not None  # before the pipe is read, so that its last message is in there
            self._listen(worker)
            if ended:
                yield worker.job, self._finish(worker)
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
        for line in self._read(worker, worker.messages):
            self._handle(worker, line)
        for line in self._read(worker, _stderr(worker.process).fileno()):
            text = line.decode("utf-8", "replace")
            if not logs.relay(worker.log, text):
                worker.printed.append(text.strip()[:_LONGEST_PRINTED])

    def _read(self, worker: Worker, fd: int) -> Iterator[bytes]:
        while chunk := _read_now(fd):
            yield from worker.lines(fd, chunk)

    def _handle(self, worker: Worker, line: bytes) -> None:
        try:
            message = decode(line)
        except ValueError:
            worker.log.warning("worker sent an unknown message", text=line[:200].decode("utf-8", "replace"))
            return
        if isinstance(message, StatsDelta):
            self._on_stats(worker.job, message)
            return
        if not isinstance(message, Progress):
            worker.outcome = message
            worker.progress_at = self._clock()
        elif _moved(worker.progress, message):
            worker.progress_at = self._clock()
        if isinstance(message, Progress):
            worker.progress = message

    def _watch(self, worker: Worker) -> None:
        """Kill a worker that stalls, exceeds its limit, or has sent its outcome and does not end."""
        idle_s = self._clock() - worker.progress_at
        if worker.outcome is not None:
            if idle_s > _GRACE_S:
                worker.process.kill()
        elif idle_s > self._stall_timeout_s and worker.reports_progress:
            worker.killed = Stalled(self._stall_timeout_s)
            worker.process.kill()
        elif self._clock() > worker.deadline:
            worker.killed = Overdue()
            worker.process.kill()

    def _finish(self, worker: Worker) -> Outcome:
        del self._workers[worker.job]
        for fd in (worker.messages, _stderr(worker.process).fileno()):
            self._selector.unregister(fd)
        os.close(worker.messages)
        for pipe in (worker.process.stdin, worker.process.stderr):
            _close(pipe)
        return worker.outcome or worker.killed or _died(worker.process.returncode, " ".join(worker.printed))


def _send(process: subprocess.Popen[bytes], message: Order | bytes) -> None:
    """Send an order or the request to stop; ``poll`` notices a worker that is dead."""
    pipe = process.stdin
    if pipe is None:
        return
    try:
        if isinstance(message, bytes):
            pipe.write(message)
            pipe.flush()
        else:
            send_order(pipe, message)
    except (BrokenPipeError, ValueError):
        log.debug("worker ended before it could read its order")


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
    """Whether the job makes progress, or reports that it waits for the device or the disk."""
    return (
        before is None
        or after.stage in RESTING
        or (
            (before.stage, before.frames_done, before.seconds_done)
            != (after.stage, after.frames_done, after.seconds_done)
        )
    )


def _died(status: int, last_output: str) -> Died:
    if status >= 0:
        return Died("", status, last_output)
    try:
        return Died(signal.Signals(-status).name, status, last_output)
    except ValueError:
        return Died(f"signal {-status}", status, last_output)
