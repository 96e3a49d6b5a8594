"""The far end of the connection to a worker on another node: it starts the worker there and passes lines on.

It lives in a process of its own on the node, and knows nothing of the cluster. The worker ends with it: the kernel
kills a child when the thread that has spawned it ends, so one thread spawns the worker and stays until its end.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from daemon.executor.lines import LineBuffer
from daemon.worker.spawn import WorkerProcess, spawn_worker

SPAWN_FAILED = 71  # the exit status of a worker that could not be started
_TICK_S = 1.0


@dataclass(frozen=True, slots=True)
class Event:
    """A line that the worker has sent or printed, or its end with its exit status (see ``subprocess.Popen``)."""

    kind: Literal["message", "printed", "ended"]
    line: bytes = b""
    status: int = 0


class Relay:
    """One worker process.

    Args:
        patience_s: how long nobody may ask for events before the worker is killed: the service has gone, or this node
            is cut off, and another worker may do the job.
    """

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._asked_at = time.monotonic()
        self._events: list[Event] = []
        self._changed = threading.Condition()
        self._started = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        threading.Thread(target=self._work, name="worker", daemon=True).start()

    def read(self, timeout_s: float) -> list[Event]:
        """Return what has happened since the last call, and wait for something first.

        Args:
            timeout_s: how long to wait at most.
        """
        with self._changed:
            self._asked_at = time.monotonic()
            self._changed.wait_for(lambda: self._events, timeout_s)
            self._asked_at = time.monotonic()
            events, self._events = self._events, []
        return events

    def send(self, data: bytes) -> None:
        """Write to the worker's standard input; this may wait until the worker reads."""
        self._started.wait()
        if self._process is None or self._process.stdin is None:
            return
        try:
            self._process.stdin.write(data)
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            return  # it has ended, as an event says

    def kill(self) -> None:
        """Send SIGKILL to the worker."""
        self._started.wait()
        if self._process is not None:
            self._process.kill()

    def _work(self) -> None:
        try:
            worker = spawn_worker()
            self._process = worker.process
        except OSError as error:
            self._add([Event("printed", str(error).encode()), Event("ended", status=SPAWN_FAILED)])
            return
        finally:
            self._started.set()
        self._add([Event("ended", status=self._pass_on(worker))])

    def _pass_on(self, worker: WorkerProcess) -> int:
        """Collect the worker's lines until it has ended; return its exit status."""
        stderr = worker.process.stderr
        messages, printed = LineBuffer(worker.messages), LineBuffer(stderr.fileno() if stderr else -1)
        with selectors.DefaultSelector() as selector:
            for buffer in (messages, printed):
                os.set_blocking(buffer.fd, False)
                selector.register(buffer.fd, selectors.EVENT_READ)
            while True:
                selector.select(_TICK_S)
                status = worker.process.poll()  # before the pipes are read, so that its last lines are in there
                self._add(Event("message", line) for line in messages.lines())
                self._add(Event("printed", line) for line in printed.lines())
                if status is not None:
                    return status
                if time.monotonic() - self._asked_at > self._patience_s:
                    worker.process.kill()

    def _add(self, events: Iterable[Event]) -> None:
        with self._changed:
            self._events += events
            self._changed.notify_all()
