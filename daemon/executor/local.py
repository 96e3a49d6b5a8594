"""Runs workers as child processes of the service."""

from __future__ import annotations

import os
import selectors
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import IO

from daemon.clock import Clock
from daemon.config.settings import Settings
from daemon.executor.exit_status import died
from daemon.executor.lines import LineBuffer
from daemon.executor.places import job_slots, places_of
from daemon.executor.protocol import Died, Node, OnStats, Place
from daemon.executor.supervised import Connection, SupervisedExecutor
from daemon.share.leases import host_name
from daemon.worker.protocol import GPU
from daemon.worker.spawn import WorkerProcess, spawn_worker

_CHUNK_BYTES = 65536


class LocalExecutor(SupervisedExecutor):
    """The worker processes on this machine.

    Args:
        selector: the pipes are registered here, so that the service's loop wakes up for a message.
        on_stats: called with a job and the statistics of its worker since the last call.
        spare: a worker that was started ahead; it takes the first order.
    """

    def __init__(
        self,
        selector: selectors.BaseSelector,
        settings: Settings,
        *,
        clock: Clock,
        on_stats: OnStats = lambda *_: None,
        spare: WorkerProcess | None = None,
    ) -> None:
        super().__init__(stall_timeout_s=settings.workers.stall_timeout_s, clock=clock, on_stats=on_stats)
        self._selector = selector
        self._spare = spare
        self._gpus: tuple[GPU, ...] = ()
        self.apply(settings)

    def apply(self, settings: Settings) -> None:
        """Take over changed settings; limits of time hold for workers that run, too."""
        super().apply(settings)
        self._settings = settings

    def close(self) -> None:
        """Give back what the executor holds; its workers have ended."""

    def use_gpus(self, gpus: Sequence[GPU]) -> None:
        """Let jobs run on these GPUs from now on; without any they run on the CPU."""
        self._gpus = tuple(gpus)

    @property
    def places(self) -> Sequence[Place]:
        """The GPUs of this machine, or its CPU."""
        return places_of(self._settings, host_name(self._settings.leases), self._gpus)

    @property
    def slots(self) -> int:
        """How many workers may run side by side."""
        return min(job_slots(self._settings), sum(place.slots for place in self.places))

    def _slots_on(self, node: str) -> int:  # noqa: ARG002 - there is one machine
        return self.slots

    @property
    def nodes(self) -> Sequence[Node]:
        """None: there is no cluster."""
        return ()

    def _start_worker(self, job: str, place: Place | None) -> Connection:  # noqa: ARG002 - there is one machine
        fresh, self._spare = self._spare or spawn_worker(), None
        return LocalConnection(fresh, self._selector)


class LocalConnection:
    """The pipes of one child process.

    Args:
        selector: all pipes are registered here as long as something is expected from them.
    """

    def __init__(self, worker: WorkerProcess, selector: selectors.BaseSelector) -> None:
        self._process = worker.process
        self._selector = selector
        self._input = _pipe(worker.process.stdin)
        self._unsent = bytearray()
        self._messages = LineBuffer(worker.messages)
        self._printed = LineBuffer(_pipe(worker.process.stderr).fileno())
        os.set_blocking(self._input.fileno(), False)
        for buffer in (self._messages, self._printed):
            os.set_blocking(buffer.fd, False)
            selector.register(buffer.fd, selectors.EVENT_READ)

    def send(self, data: bytes) -> None:
        """Write as much as the pipe takes; ``messages`` writes the rest."""
        self._unsent += data
        self._flush()

    def messages(self) -> Iterator[bytes]:
        """Yield the lines that have arrived on the pipe for messages."""
        self._flush()
        yield from self._messages.lines()

    def printed(self) -> Iterator[bytes]:
        """Yield the lines that have arrived on the worker's standard error."""
        yield from self._printed.lines()

    def ended(self) -> Died | None:
        """Return how the process has ended; None while it runs."""
        status = self._process.poll()
        return None if status is None else died(status)

    def kill(self) -> None:
        """Send SIGKILL."""
        self._process.kill()

    def close(self) -> None:
        """Close all pipes."""
        self._unsent.clear()
        self._watch_input()
        for buffer in (self._messages, self._printed):
            self._selector.unregister(buffer.fd)
        os.close(self._messages.fd)
        for pipe in (self._process.stdin, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def _flush(self) -> None:
        while self._unsent:
            try:
                written = os.write(self._input.fileno(), self._unsent[:_CHUNK_BYTES])
            except BlockingIOError:
                break
            except BrokenPipeError:  # the worker has ended; ``poll`` notices that
                self._unsent.clear()
            else:
                del self._unsent[:written]
        self._watch_input()

    def _watch_input(self) -> None:
        """Wake the loop when the worker reads on, as long as something waits to be written."""
        if self._unsent:
            with suppress(KeyError):  # it is registered already
                self._selector.register(self._input, selectors.EVENT_WRITE)
        elif self._input in self._selector.get_map():
            self._selector.unregister(self._input)


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise ValueError("the worker was started without pipes")
    return pipe
