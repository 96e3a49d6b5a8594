"""Starts worker processes. Imports next to nothing: a command starts one before it loads the rest of itself."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WorkerProcess:
    """A process that waits for its order on its standard input. ``messages`` is the pipe on which it answers."""

    process: subprocess.Popen[bytes]
    messages: int


_ahead: list[WorkerProcess] = []


def spawn_worker() -> WorkerProcess:
    """Start a worker; it loads the pipeline while it waits for its order, and ends when nobody is left to give one.

    Raises:
        OSError: no process can be started.
    """
    reading, writing = os.pipe()
    try:
        process = _spawn(writing)
    except OSError:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    return WorkerProcess(process, reading)


def start_ahead() -> None:
    """Start a worker before it is known whether one is needed."""
    with suppress(OSError):  # whoever needs one will see the error
        _ahead.append(spawn_worker())


def take_ahead() -> WorkerProcess | None:
    """The worker that was started ahead, if there is one left."""
    return _ahead.pop() if _ahead else None


def _spawn(messages: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "daemon.worker.main", str(messages), str(os.getpid())]
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        pass_fds=(messages,),
        # The stages run beside each other already; threads of linear algebra would only spin beside them.
        env={"OPENBLAS_NUM_THREADS": "1", **os.environ},
        start_new_session=True,  # Ctrl-C on a terminal is for the service, which stops its workers itself
    )
